import {
  type AttemptRecord,
  AttemptRecord as AttemptRecordSchema,
  Decision,
  decode,
  InboxMessage,
  isTerminal,
  type MalformedMessageError,
} from "@stepstream/contracts";
import type { EventLog, Stored } from "@stepstream/event-log";
import type { z } from "zod";

interface Entry {
  /** The stream sequence: the order in which things happened. */
  seq: number;
  /** When the server stored it, in epoch milliseconds. */
  at: number;
}

/** One message of a run's history. */
export type HistoryEntry = Entry &
  /** `late`: the slot had its outcome already, or the run was over. It changed nothing. */
  (
    | { kind: "inbox"; message: InboxMessage; late?: true }
    | { kind: "journal"; message: Decision }
    | { kind: "attempt"; message: AttemptRecord }
    /** Stored, but not to be read; `text` is what there is. */
    | { kind: "malformed"; subject: string; text: string; error: MalformedMessageError }
  );

/** Inbox, journal and attempts of a run, by stream sequence. Empty if there is no such run. */
export async function readHistory(log: EventLog, run: string): Promise<HistoryEntry[]> {
  const { subjects } = log;
  const slots = await log.list("EVENTS", subjects.all.attemptsOfRun(run));
  const [inbox, journal, ...attempts] = await Promise.all(
    [subjects.inbox(run), subjects.journal(run), ...slots.keys()].map((s) => log.read(s, { fresh: true })),
  );
  const entries = [
    ...inbox!.map((stored) => entry("inbox", InboxMessage, stored)),
    ...journal!.map((stored) => entry("journal", Decision, stored)),
    ...attempts.flat().map((stored) => entry("attempt", AttemptRecordSchema, stored)),
  ].sort((a, b) => a.seq - b.seq);
  return markLate(entries);
}

/** A slot has one outcome; what else is said of it is kept, and marked. */
function markLate(entries: HistoryEntry[]): HistoryEntry[] {
  const done = new Set<number>();
  let over = false;
  return entries.map((entry) => {
    if (entry.kind === "journal") over ||= entry.message.events.some(isTerminal);
    if (entry.kind !== "inbox" || !("slot" in entry.message)) return entry;
    const { type, slot } = entry.message;
    if (type === "TimerFired" || type === "RetryLater") return entry;
    if (over || done.has(slot)) return { ...entry, late: true };
    done.add(slot);
    return entry;
  });
}

function entry(kind: "inbox" | "journal" | "attempt", schema: z.ZodType, stored: Stored): HistoryEntry {
  const { subject, seq, at, text } = stored;
  try {
    return { seq, at, kind, message: decode(schema, text, `${subject} #${seq}`) } as HistoryEntry;
  } catch (error) {
    return { seq, at, kind: "malformed", subject, text, error: error as MalformedMessageError };
  }
}
