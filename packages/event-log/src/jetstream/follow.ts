import type { Msg } from "@nats-io/transport-node";
import type { Subjects } from "@stepstream/contracts";
import type { Stored, Subscription } from "../port.ts";
import type { Blobs } from "./blobs.ts";
import { added, headerBlock } from "./incoming.ts";
import type { Link } from "./link.ts";
import { wasRelayed } from "./relayed.ts";

/**
 * A run's journal as it is stored: the stream republishes each message on core NATS, with where and
 * when it was stored in its headers. Any number of watchers cost no consumer.
 *
 * F1. In the order of storing, also where a payload has to be fetched first.
 * F2. What happens during a cut is missed (L6): read to be sure.
 *
 * Checked elsewhere:
 *   F1  test/conformance/suite.ts: a journal's messages, as they are stored, in order, to each follower of the run
 *   F2  test/conformance/suite.ts: goes on with listening and following
 */
export function followStored(
  link: Link,
  blobs: Blobs,
  subjects: Subjects,
  run: string,
  onStored: (stored: Stored) => void,
): Subscription {
  const { callbacks } = link;
  const subject = subjects.journal(run);
  const what = `a listener to the journal of run ${run}`;
  let stopped = false;
  let waiting = 0;
  let tail: Promise<void> = Promise.resolve();

  const sub = link.subscribe(subjects.liveJournal(run), (msg) => {
    if (!stopped) callbacks.call(what, take, msg);
  });

  function take(msg: Msg): void {
    const block = headerBlock(msg);
    const seq = Number(added(block, "Nats-Sequence"));
    const at = Date.parse(added(block, "Nats-Time-Stamp"));
    // What the server republishes has both, and comes from the journal itself.
    if (!Number.isSafeInteger(seq) || seq < 1 || Number.isNaN(at)) return;
    if (added(block, "Nats-Subject") !== subject || wasRelayed(block)) return;
    const text = blobs.resolve(subject, msg.string(), () => block);
    if (typeof text === "string" && waiting === 0) return onStored({ subject, seq, at, text });
    waiting++;
    const whole = Promise.resolve(text).catch(() => undefined);
    tail = tail.then(async () => {
      const fetched = await whole;
      waiting--;
      if (!stopped && fetched !== undefined) callbacks.call(what, onStored, { subject, seq, at, text: fetched });
    });
  }

  return {
    stop() {
      stopped = true;
      sub.end();
    },
  };
}
