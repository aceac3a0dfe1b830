import { SENDERS } from "@stepstream/contracts";
import type { EventLog, Glimpse } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

/** The inboxes of a partition, by run, and its journals, by subject, with how many messages they hold. */
export interface Inboxes {
  readonly inboxes: ReadonlyMap<string, number>;
  readonly journals: ReadonlyMap<string, number>;
}

/** The journals first: a run that is started meanwhile has no journal in it. */
export async function listInboxes({ log }: Pick<Deps, "log">, partition: number): Promise<Inboxes> {
  const journals = await log.list("EVENTS", log.subjects.all.journalsOfPartition(partition));
  const inboxes = new Map<string, number>();
  for (const [subject, count] of await log.list("EVENTS", log.subjects.all.inbox(partition))) {
    const run = log.subjects.runOfInbox(subject);
    if (run !== undefined) inboxes.set(run, (inboxes.get(run) ?? 0) + count);
  }
  return { journals, inboxes };
}

/** The last messages of inboxes, by run: of those that hold any. May be stale, as `lasts`. */
export async function lastOfInboxes(log: EventLog, runs: readonly string[]): Promise<Map<string, Glimpse>> {
  const subjects = runs.flatMap((run) => SENDERS.map((sender) => log.subjects.inboxFrom(sender, run)));
  const found = new Map<string, Glimpse>();
  for (const [subject, last] of await log.lasts(subjects)) {
    const run = log.subjects.runOfInbox(subject)!;
    if (last.seq > (found.get(run)?.seq ?? 0)) found.set(run, last);
  }
  return found;
}
