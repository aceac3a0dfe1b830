import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { LogRefusedError, LogUnavailableError, WrongLastSequenceError } from "@stepstream/contracts";
import type { Appended, AppendOptions } from "../port.ts";
import { clean, encoded } from "./headers.ts";
import type { Link } from "./link.ts";

/**
 * Publishes to a stream and waits for the acknowledgement. The hot path of everything: `js.publish()`
 * costs about 80 µs of CPU each (a request with a timer and a stack trace of its own), this 12.
 *
 * P1. One subscription for all acknowledgements; each publish has a number, and its reply subject ends in it.
 * P2. Every promise settles: by its acknowledgement, its time-out, or the cut of the connection.
 * P3. "It may be stored" (LogUnavailableError) and "it is not" (all others) are never mixed up.
 * P4. An acknowledgement that comes after its promise has settled is dropped.
 *
 * Checked elsewhere:
 *   P1 P4  test/conformance/jetstream.test.ts: fails after its time-out, and what comes later answers nothing else
 *   P2  test/conformance/jetstream.test.ts: fails with the cut, at once, and is a duplicate the second time
 *   P3  publisher.test.ts: with code %i is %s
 */
export interface Publisher {
  /**
   * @param onDuplicate - What the append comes to if the server takes it for a repeat. Default: that it was stored, as a
   * duplicate.
   */
  publish(
    subject: string,
    data: string | Uint8Array,
    options?: PublishOptions,
    onDuplicate?: (appended: Appended) => Promise<Appended>,
  ): Promise<Appended>;
  stop(): void;
}

export interface PublishOptions extends AppendOptions {
  /** More headers, as lines that end in CRLF. */
  lines?: string;
}

interface Pending {
  subject: string;
  expected: number | undefined;
  deadline: number;
  onDuplicate: ((appended: Appended) => Promise<Appended>) | undefined;
  resolve(appended: Appended | Promise<Appended>): void;
  reject(error: Error): void;
}

/** "wrong last sequence", and the same seen by a stream with replicas. */
const WRONG_LAST_SEQUENCE = new Set([10071, 10164]);

export function createPublisher(link: Link, timeoutMs: number): Publisher {
  const { nc, clock, callbacks } = link;
  const inbox = `${link.newInbox()}.`;
  const pending = new Map<string, Pending>();
  let next = 0;

  const acks = nc.subscribe(`${inbox}*`, {
    // An error is that we may not listen: nats.js gives no message with it.
    callback: (denied, msg) => {
      if (denied) lose(denied.message);
      else callbacks.call("reading an acknowledgement", onAck, msg);
    },
  });

  function onAck(msg: Msg): void {
    const key = msg.subject.slice(inbox.length);
    const waiting = pending.get(key);
    if (!waiting) return;
    pending.delete(key);
    const answer = readAck(msg);
    if ("seq" in answer) waiting.resolve(answer.duplicate ? (waiting.onDuplicate?.(answer) ?? answer) : answer);
    else waiting.reject(errorOf(waiting.subject, waiting.expected, answer));
  }

  function lose(why: string): void {
    const lost = [...pending.values()];
    pending.clear();
    for (const one of lost) one.reject(new LogUnavailableError(`an append to ${one.subject}`, why));
  }
  const down = link.onDown(lose);
  const denials = link.onDenied((subject, why) => {
    for (const [key, one] of pending) {
      if (one.subject !== subject) continue;
      pending.delete(key);
      one.reject(new LogRefusedError(`an append to ${subject}`, 0, why));
    }
  });

  // All wait equally long, so the oldest are the first in the map.
  const ticks = link.everyTick((now, lateMs) => {
    // Acknowledgements may lie unread behind a stall of our own: let the next tick judge.
    if (lateMs > 1_000) return;
    for (const [key, one] of pending) {
      if (one.deadline > now) break;
      pending.delete(key);
      one.reject(new LogUnavailableError(`an append to ${one.subject}`, `none within ${timeoutMs} ms`));
    }
  });

  return {
    publish(subject, data, options, onDuplicate) {
      return new Promise<Appended>((resolve, reject) => {
        if (link.dead())
          return reject(new LogUnavailableError(`an append to ${subject}`, "there is no connection at present"));
        const key = (next++).toString(36);
        const expected = options?.expectLast;
        const headers = options && headersFor(options);
        try {
          // Buffer.from takes short texts from a pool; nats.js would allocate each.
          const bytes = typeof data === "string" ? Buffer.from(data) : data;
          nc.publish(subject, bytes, headers ? { reply: inbox + key, headers } : { reply: inbox + key });
        } catch (cause) {
          return reject(new LogRefusedError(`an append to ${subject}`, 0, (cause as Error).message));
        }
        pending.set(key, { subject, expected, deadline: clock.now() + timeoutMs, onDuplicate, resolve, reject });
      });
    },
    stop() {
      down.stop();
      denials.stop();
      ticks.stop();
      if (!nc.isClosed()) acks.unsubscribe();
    },
  };
}

function headersFor({ expectLast, id, lines }: PublishOptions): MsgHdrs | undefined {
  if (expectLast === undefined && id === undefined && lines === undefined) return undefined;
  let block = "NATS/1.0\r\n";
  if (expectLast !== undefined) block += `Nats-Expected-Last-Subject-Sequence: ${expectLast}\r\n`;
  if (id !== undefined) block += `Nats-Msg-Id: ${clean(id)}\r\n`;
  return encoded(`${block}${lines ?? ""}\r\n`);
}

export type Refusal = { code: number; why: string };

/** Exported for its test. `code` 503 stands for "nobody listens there". */
export function readAck(msg: Pick<Msg, "data" | "headers" | "string">): Appended | Refusal {
  if (msg.data.length === 0)
    return { code: 503, why: "no stream listens to it (is JetStream on, is the stream there?)" };
  let ack: { seq?: number; duplicate?: boolean; error?: { err_code?: number; code?: number; description?: string } };
  try {
    ack = JSON.parse(msg.string());
  } catch {
    return { code: 503, why: "the acknowledgement cannot be read" };
  }
  if (ack.error)
    return { code: ack.error.err_code ?? ack.error.code ?? 0, why: ack.error.description ?? "no reason given" };
  if (typeof ack.seq !== "number") return { code: 503, why: "the acknowledgement names no sequence" };
  return { seq: ack.seq, duplicate: ack.duplicate === true };
}

export function errorOf(subject: string, expected: number | undefined, { code, why }: Refusal): Error {
  if (WRONG_LAST_SEQUENCE.has(code)) return new WrongLastSequenceError(subject, expected ?? 0);
  if (code === 503) return new LogUnavailableError(`an append to ${subject}`, why);
  return new LogRefusedError(`an append to ${subject}`, code, why);
}
