import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamManager } from "@nats-io/jetstream";

/** More are not looked for. */
export const STRANDED_MOST = 100;

/** A command that is being acknowledged looks the same for a moment. */
const AGAIN_MS = 500;

type Found = ReadonlyMap<string, number>;

/**
 * Commands that are stored and that no worker will get: they lie at or below the ack floor of their step's consumer. A purge
 * of COMMANDS with a subject makes such commands.
 *
 * @returns Their subjects, at most {@link STRANDED_MOST}.
 */
export async function strandedCommands(jsm: JetStreamManager, stream: string): Promise<string[]> {
  const first = await look(jsm, stream);
  if (first.size === 0) return [];
  await sleep(AGAIN_MS);
  return inBoth(first, await look(jsm, stream));
}

/** The subjects that hold the same message in both looks. Pure. */
export function inBoth(first: Found, second: Found): string[] {
  return [...second].filter(([subject, seq]) => first.get(subject) === seq).map(([subject]) => subject);
}

/** The floor is read before the messages, and never falls. */
async function look(jsm: JetStreamManager, stream: string): Promise<Found> {
  const found = new Map<string, number>();
  for await (const { config, ack_floor } of jsm.consumers.list(stream)) {
    const floor = ack_floor.stream_seq;
    const filter = config.filter_subject;
    for (let seq = 1; floor > 0 && filter !== undefined && found.size < STRANDED_MOST; ) {
      const oldest = await jsm.streams.getMessage(stream, { seq, next_by_subj: filter } as never);
      if (!oldest || oldest.seq > floor) break;
      found.set(oldest.subject, oldest.seq);
      seq = oldest.seq + 1;
    }
  }
  return found;
}
