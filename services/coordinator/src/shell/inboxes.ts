import type { Deps } from "./deps.ts";

/** The inboxes and journals of a partition, by subject, with how many messages they hold. */
export interface Inboxes {
  readonly inboxes: ReadonlyMap<string, number>;
  readonly journals: ReadonlyMap<string, number>;
}

/** The journals first: a run that is started meanwhile has no journal in it. */
export async function listInboxes({ log }: Pick<Deps, "log">, partition: number): Promise<Inboxes> {
  const journals = await log.list("EVENTS", log.subjects.all.journalsOfPartition(partition));
  const inboxes = await log.list("EVENTS", log.subjects.all.inbox(partition));
  return { journals, inboxes };
}
