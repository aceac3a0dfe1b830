import {
  AttemptRecord,
  Decision,
  decode,
  decodeInbox,
  fromStart,
  type InboxMessage,
  isTerminal,
  type MalformedMessageError,
  type RunEvent,
  RunNotFoundError,
  senderOf,
} from "@stepstream/contracts";
import type { EventLog, Stored } from "@stepstream/event-log";

interface Entry {
  /** The stream sequence: the order in which things happened. */
  seq: number;
  /** When the server stored it, in epoch milliseconds. */
  at: number;
}

/** One message of a run's history. */
export type HistoryEntry = Entry &
  /**
   * `late`: the slot had its outcome already, or the run was over. `early`: it says that a timer has fired whose time had
   * not come. Either changed nothing.
   */
  (
    | { kind: "inbox"; message: InboxMessage; late?: true; early?: true }
    | { kind: "journal"; message: Decision }
    | { kind: "attempt"; message: AttemptRecord }
    /** Stored, but not to be read; `text` is what there is. */
    | { kind: "malformed"; subject: string; text: string; error: MalformedMessageError }
  );

/** Inbox, journal and attempts of a run, by stream sequence. Empty if there is no such run. */
export async function readHistory(log: EventLog, run: string): Promise<HistoryEntry[]> {
  return new HistoryReader(log, run).more();
}

/**
 * Reads the history of a run as it grows.
 *
 * H1. A run that is gone is an error, not a history that grows no more.
 *
 * Checked elsewhere:
 *   H1  run-existence.test.ts: ends whatever follows it (H1):
 */
export class HistoryReader {
  readonly #log: EventLog;
  readonly #run: string;
  /** By subject: the last sequence that was read, and how many messages that were. */
  readonly #read = new Map<string, { seq: number; count: number }>();
  readonly #done = new Set<number>();
  /** When the timer of a slot fires. */
  readonly #fireAt = new Map<number, number>();
  #over = false;
  /** The first message of its inbox that was read. */
  #first: number | undefined;

  constructor(log: EventLog, run: string) {
    this.#log = log;
    this.#run = run;
  }

  /** The run has ended, as far as it has been read. What comes now is late. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * What has come since the last time; the first time all. By stream sequence.
   * @throws {RunNotFoundError} What was read before is not stored any more.
   */
  async more(): Promise<HistoryEntry[]> {
    const { subjects } = this.#log;
    const slots = await this.#log.list("EVENTS", subjects.all.attemptsOfRun(this.#run));
    const attempts = [...slots].filter(([subject, count]) => count !== this.#read.get(subject)?.count);
    const read = await Promise.all([
      this.#news("inbox", subjects.inbox(this.#run)),
      this.#news("journal", subjects.journal(this.#run)),
      ...attempts.map(([subject]) => this.#news("attempt", subject)),
    ]);
    const [inbox, journal] = read;
    if (inbox!.length === 0 && journal!.length === 0) await this.#mustExist();
    return this.#mark(read.flat().sort((a, b) => a.seq - b.seq));
  }

  async #mustExist(): Promise<void> {
    const { subjects } = this.#log;
    if (this.#first === undefined || this.#over) return;
    const oldest = await this.#log.oldest("EVENTS", subjects.inboxFrom("client", this.#run));
    if (oldest?.seq !== this.#first) throw new RunNotFoundError(this.#run, subjects.namespace, true);
  }

  async #news(kind: keyof typeof READ, subject: string): Promise<HistoryEntry[]> {
    const { seq, count } = this.#read.get(subject) ?? { seq: 0, count: 0 };
    const all = await this.#log.read(subject, { fresh: true, ...(seq > 0 && { fromSeq: seq + 1 }) });
    const stored = kind === "inbox" && this.#first === undefined ? fromStart(all) : all;
    if (kind === "inbox") this.#first ??= stored.find((one) => senderOf(one.subject) === "client")?.seq;
    if (stored.length > 0) this.#read.set(subject, { seq: stored.at(-1)!.seq, count: count + stored.length });
    return stored.map((one) => entry(kind, one));
  }

  /** A slot has one outcome, and a timer its time; what else is said of them is kept, and marked. */
  #mark(entries: HistoryEntry[]): HistoryEntry[] {
    return entries.map((entry) => {
      if (entry.kind === "journal") for (const event of entry.message.events) this.#see(event);
      if (entry.kind !== "inbox" || !("slot" in entry.message)) return entry;
      const { type, slot } = entry.message;
      if (type === "TimerFired" && entry.at < (this.#fireAt.get(slot) ?? 0)) return { ...entry, early: true };
      if (type === "TimerFired" || type === "RetryLater" || type === "StepStartedTwice") return entry;
      if (this.#over || this.#done.has(slot)) return { ...entry, late: true };
      this.#done.add(slot);
      return entry;
    });
  }

  #see(event: RunEvent): void {
    this.#over ||= isTerminal(event);
    if (event.type === "TimerStarted" || event.type === "RetryScheduled") this.#fireAt.set(event.slot, event.fireAt);
    else if (event.type === "StepRescheduled") this.#fireAt.delete(event.slot);
  }
}

const READ = {
  inbox: decodeInbox,
  journal: (_subject: string, text: string, where: string) => decode(Decision, text, where),
  attempt: (_subject: string, text: string, where: string) => decode(AttemptRecord, text, where),
};

function entry(kind: keyof typeof READ, { subject, seq, at, text }: Stored): HistoryEntry {
  try {
    return { seq, at, kind, message: READ[kind](subject, text, `${subject} #${seq}`) } as HistoryEntry;
  } catch (error) {
    return { seq, at, kind: "malformed", subject, text, error: error as MalformedMessageError };
  }
}
