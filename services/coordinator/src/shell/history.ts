import {
  type Decision,
  decodeInbox,
  fromStart,
  type InboxMessage,
  isStart,
  LogUnavailableError,
  MalformedMessageError,
  type RunContinued,
  type RunEvent,
  type RunStarted,
  type Segment,
} from "@stepstream/contracts";
import { type Stored, sleep } from "@stepstream/event-log";
import { readDecision } from "./decisions.ts";
import type { Deps } from "./deps.ts";
import { place } from "./place.ts";

export interface Inbox {
  seq: number;
  at: number;
  message: InboxMessage;
}

/** A run as the log has it, from where it last went on as new. */
export interface History {
  /** Where it has gone on as new, and with what. */
  continued: RunContinued | undefined;
  /** What came after that, or from the start. */
  inbox: Inbox[];
  /** What was decided after that, in order. */
  events: RunEvent[];
  /** What was decided last: of that alone it is not known whether it was done. */
  latest: RunEvent[];
  /** The last inbox message that the journal has consumed; 0 for none. */
  upTo: number;
  /** The stream sequence of the last journal message; 0 for none. */
  journalSeq: number;
  segment: Segment | undefined;
}

/** What started the run. @returns undefined if there is no run. */
export function startOf({ continued, inbox }: History): RunStarted | undefined {
  const first = continued?.start ?? inbox[0]?.message;
  return first?.type === "RunStarted" ? first : undefined;
}

/** When a run that there is was first started. */
export function startedAtOf({ inbox }: History, { since }: RunStarted): number {
  return since ?? inbox[0]!.at;
}

const TRIES = 5;

/** What reading takes. */
export type Reading = Pick<Deps, "log" | "clock" | "warn">;

/**
 * Reads a run. A replica may answer with old data, so a read counts only if it holds the message in hand
 * and all that the journal has consumed; else it is read again, from the leader. (A journal that is old
 * is caught by the fence.)
 *
 * @param holds - A stream sequence of the inbox that must be in it; 0 for none.
 * @throws {LogUnavailableError} If it cannot be had.
 */
export async function readHistory(deps: Reading, run: string, holds: number, fresh = false): Promise<History> {
  const { log, clock } = deps;
  const { subjects } = log;
  // A segment begins with RunContinued. One that does not was made up: then all of the run is read.
  let whole = false;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (attempt > 0) await sleep(clock, 20 * attempt);
    const options = { fresh: fresh || attempt > 0 };
    const last = await log.last(subjects.journal(run), options);
    let segment = whole ? undefined : last && readDecision(last)?.segment;
    let journal = last
      ? await log.read(subjects.journal(run), { ...options, fromSeq: (segment?.journalAfter ?? 0) + 1 })
      : [];
    if (last && !readDecision(last)) {
      // The last is no decision: the one before it says where the part begins that counts.
      deps.warn(
        "passed over a message of a journal",
        new MalformedMessageError(place(last), "", "it is no decision"),
        run,
      );
      segment = whole ? undefined : journal.map(readDecision).findLast((decision) => decision !== undefined)?.segment;
      journal = journal.filter(({ seq }) => seq > (segment?.journalAfter ?? 0));
    }
    const inboxAfter = segment?.inboxAfter ?? 0;
    const stored = await log.read(subjects.inbox(run), { ...options, fromSeq: inboxAfter + 1 });
    const inbox = segment ? stored : fromStart(stored);
    const decisions = own(
      journal.flatMap((stored) => readDecision(stored) ?? []),
      inbox[0],
    );
    const events = decisions.flatMap((decision) => decision.events);
    const at = events.findLastIndex((event) => event.type === "RunContinued");
    if (segment && at < 0) {
      whole = true;
      attempt = -1;
      continue;
    }
    // It has gone on as new while it was read.
    const moved = !whole && decisions.at(-1)?.segment?.journalAfter !== segment?.journalAfter;
    const upTo = decisions.at(-1)?.upTo ?? 0;
    const complete = (stored.at(-1)?.seq ?? inboxAfter) >= Math.max(holds, upTo);
    // What the leader does not have is gone: the run was purged.
    if ((moved || !complete) && attempt < TRIES - 1) continue;
    const messages = readable(inbox);
    const journalSeq = journal.at(-1)?.seq ?? 0;
    // The id has been started anew after its run was deleted: what is left of the journal is the old one's.
    const reborn = messages.findIndex(({ seq, message }) => message.type === "RunStarted" && seq > upTo);
    if (reborn >= 0)
      return {
        continued: undefined,
        inbox: messages.slice(reborn),
        events: [],
        latest: [],
        upTo: 0,
        journalSeq,
        segment: undefined,
      };
    const continued = events[at] as RunContinued | undefined;
    const latest = decisions.at(-1)?.events ?? [];
    return { continued, inbox: messages, events: events.slice(at + 1), latest, upTo, journalSeq, segment };
  }
  throw new LogUnavailableError(`read run ${run}`, "its history stayed incomplete");
}

/**
 * A coordinator that was cut off may store the first decision of a run that was deleted meanwhile: where the journal is
 * empty again, its fence holds. Such a decision is about messages from before the start of the run that has the id now.
 */
function own(decisions: Decision[], first: Stored | undefined): Decision[] {
  if (!first || !decisions.some(({ upTo }) => upTo < first.seq) || !isStart(first)) return decisions;
  return decisions.filter(({ upTo }) => upTo >= first.seq);
}

/** The rest of an inbox, under the same rule. */
export async function readInbox(deps: Deps, run: string, fromSeq: number, holds: number): Promise<Inbox[]> {
  const { log, clock } = deps;
  for (let attempt = 0; ; attempt++) {
    const stored = await log.read(log.subjects.inbox(run), { fromSeq, fresh: attempt > 0 });
    if ((stored.at(-1)?.seq ?? 0) >= holds || attempt === TRIES - 1) return readable(stored);
    await sleep(clock, 20 * (attempt + 1));
  }
}

/** Messages that cannot be read are in the dead letters; to the run they never happened. */
function readable(inbox: readonly Stored[]): Inbox[] {
  return inbox.flatMap((stored) => {
    try {
      return [{ seq: stored.seq, at: stored.at, message: decodeInbox(stored.subject, stored.text, place(stored)) }];
    } catch (error) {
      if (error instanceof MalformedMessageError) return [];
      throw error;
    }
  });
}
