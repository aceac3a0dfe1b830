import {
  Decision,
  decode,
  type Failure,
  isTerminal,
  type MalformedMessageError,
  type RunEvent,
  RunNotFoundError,
  RunParked,
  readableEvents,
  SENDERS,
  type TerminalEvent,
  toFailure,
} from "@stepstream/contracts";
import type { EventLog, ReadOptions, Stored } from "@stepstream/event-log";
import { idsOfRun } from "@stepstream/telemetry";
import { readStart } from "./start-run.ts";

/** "parked": no coordinator at hand can take it further; it goes on by itself once one can. */
export type RunState = "running" | "parked" | "completed" | "failed" | "cancelled" | "terminated";

export interface RunStatus {
  readonly id: string;
  readonly status: RunState;
  /** Empty, and 0, if the message that started the run cannot be read. */
  readonly workflow: string;
  readonly version: number;
  /** The trace that the run is, or is part of: known also where nobody records it. 32 hex digits. */
  readonly traceId: string;
  /** In epoch milliseconds, by the server's clock. */
  readonly startedAt: number;
  /** Where the run is over. */
  readonly endedAt?: number;
  /** Why it failed. */
  readonly error?: Failure;
  /** The run and slot that it is a child of. */
  readonly parent?: { run: string; slot: number };
  /** Messages of its history, by kind: what it costs to read and replay it. */
  readonly history: { readonly inbox: number; readonly journal: number };
  /** Why it is parked. */
  readonly parked?: { code: string; error: Failure; since: number };
}

const ENDED = {
  RunCompleted: "completed",
  RunFailed: "failed",
  RunCancelled: "cancelled",
  RunTerminated: "terminated",
} as const;

/** How many messages are stored on each subject of a run, or of many. */
export type Counts = ReadonlyMap<string, number>;

/**
 * @param counts - Those of its inbox, journal and record, where many runs are read. Default: they are asked for.
 * @throws {RunNotFoundError} Nothing is stored under this id.
 */
export async function readStatus(log: EventLog, run: string, counts?: Counts): Promise<RunStatus> {
  const { subjects } = log;
  const journals = subjects.journal(run);
  const count = counts ? undefined : (subject: string) => log.list("EVENTS", subject);
  const [first, journal, parked, inboxCount, journalCount] = await Promise.all([
    readStart(log, run, { fresh: true }),
    lastDecision(log, run, { fresh: true }),
    counts && !counts.has(subjects.parked(run)) ? undefined : log.last(subjects.parked(run), { fresh: true }),
    count?.(subjects.inbox(run)) ?? counts!,
    count?.(journals) ?? counts!,
  ]);
  if (!first || first.stray) throw new RunNotFoundError(run, subjects.namespace);
  const base = {
    id: run,
    workflow: first.started?.workflow ?? "",
    version: first.started?.version ?? 0,
    traceId: first.started?.trace?.traceparent.split("-")[1] ?? idsOfRun(subjects.namespace, run).traceId,
    startedAt: first.stored.at,
    ...(first.started?.parent && { parent: first.started.parent }),
    history: {
      inbox: SENDERS.reduce((sum, sender) => sum + (inboxCount.get(subjects.inboxFrom(sender, run)) ?? 0), 0),
      journal: journalCount.get(journals) ?? 0,
    },
  };
  const end = journal && endOf(journal);
  // A deletion that was interrupted may have left the end of the run that had the id before.
  if (journal && end && upToOf(journal) >= first.stored.seq) {
    const why = end.type === "RunFailed" ? { error: end.error } : {};
    return { ...base, status: stateOf(end), endedAt: journal.at, ...why };
  }
  if (parked && parked.seq > (journal?.seq ?? 0)) {
    return { ...base, status: "parked", parked: { ...reasonIn(parked), since: parked.at } };
  }
  return { ...base, status: "running" };
}

/** Why a run is parked, of its record. */
export function reasonIn(parked: Stored): { code: string; error: Failure } {
  try {
    const { code, error } = decode(RunParked, parked.text, `${parked.subject} #${parked.seq}`);
    return { code, error };
  } catch (error) {
    return { code: (error as MalformedMessageError).code, error: toFailure(error) };
  }
}

export function stateOf(end: TerminalEvent): (typeof ENDED)[keyof typeof ENDED] {
  return ENDED[end.type];
}

/** The inbox message that led to a decision. One that cannot be read counts as the run's own. */
export function upToOf({ text }: Stored): number {
  const upTo = /"upTo":(\d+)/.exec(text)?.[1];
  return upTo === undefined ? Number.POSITIVE_INFINITY : Number(upTo);
}

/**
 * Is this the end of the run that has the id now? A deletion goes in two steps, inbox and journal; in between another may
 * start the id, and would find the old end.
 *
 * @param last - The last message of the inbox: nearly always the one that led to the end, so that nothing else is read.
 */
export async function isOwnEnd(log: EventLog, run: string, end: Stored, last: Stored | undefined): Promise<boolean> {
  if (!last || last.seq <= upToOf(end)) return true;
  const first = await readStart(log, run, { fresh: true });
  // Strays are no other run: its deletion was interrupted.
  return !first || first.stray !== undefined || first.stored.seq <= upToOf(end);
}

/** The end of the run, if this journal message holds it. It is in the last one of a run and in no other. */
export function endOf(stored: Stored): TerminalEvent | undefined {
  // Most messages hold no end, and looking is cheaper than reading.
  if (!/"Run(Completed|Failed|Cancelled|Terminated)"/.test(stored.text)) return undefined;
  return eventsOf(stored).find(isTerminal);
}

/** What a message of a journal decides: nothing, if it cannot be read. Anybody who may publish can put one there. */
export function eventsOf(stored: Stored): readonly RunEvent[] {
  try {
    return decode(Decision, stored.text, `${stored.subject} #${stored.seq}`).events;
  } catch {
    return readableEvents(stored.text);
  }
}

/** The last message of a journal that is a decision. @returns undefined if there is none. */
export async function lastDecision(log: EventLog, run: string, options?: ReadOptions): Promise<Stored | undefined> {
  const journal = log.subjects.journal(run);
  const last = await log.last(journal, options);
  if (!last || eventsOf(last).length > 0) return last;
  return (await log.read(journal, options)).findLast((stored) => eventsOf(stored).length > 0);
}
