import { setTimeout as sleep } from "node:timers/promises";
import { check, counted, error, ok } from "../check.ts";
import type { Target } from "../target.ts";

/** A command that is being acknowledged looks the same for a moment. */
const AGAIN_MS = 500;
/** More are not counted. */
const MOST = 100;

type Stranded = ReadonlyMap<string, number>;

/**
 * Commands that are stored and that no worker will get: they lie at or below the ack floor of their step's consumer. A
 * purge of COMMANDS with a subject makes such commands.
 */
export const stranded = check<{ first: Stranded; second: Stranded }>({
  name: "stranded",

  async look(target) {
    const first = await find(target);
    if (first.size === 0) return { first, second: first };
    await sleep(AGAIN_MS);
    return { first, second: await find(target) };
  },

  judge({ first, second }) {
    const both = [...second].filter(([subject, seq]) => first.get(subject) === seq).map(([subject]) => subject);
    if (both.length === 0) return [ok("stranded", "each stored command will reach a worker")];
    const least = both.length >= MOST ? "at least " : "";
    return [
      error(
        "stranded",
        `${least}${counted(both.length, "command")} will not reach a worker, such as ${both[0]}`,
        "A coordinator publishes them again within a minute. Do not purge COMMANDS with a subject.",
      ),
    ];
  },
});

/** The floor is read before the messages, and never falls. */
async function find({ jsm, subjects }: Target): Promise<Stranded> {
  const stream = subjects.streamName("COMMANDS");
  const found = new Map<string, number>();
  for await (const { config, ack_floor } of jsm.consumers.list(stream)) {
    const floor = ack_floor.stream_seq;
    const filter = config.filter_subject;
    for (let seq = 1; floor > 0 && filter !== undefined && found.size < MOST; ) {
      const oldest = await jsm.streams.getMessage(stream, { seq, next_by_subj: filter } as never);
      if (!oldest || oldest.seq > floor) break;
      found.set(oldest.subject, oldest.seq);
      seq = oldest.seq + 1;
    }
  }
  return found;
}
