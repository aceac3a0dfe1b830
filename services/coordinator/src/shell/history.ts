import {
  Decision,
  decode,
  InboxMessage,
  LogUnavailableError,
  MalformedMessageError,
  type RunEvent,
} from "@stepstream/contracts";
import { type Stored, sleep } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

export interface Inbox {
  seq: number;
  at: number;
  message: InboxMessage;
}

/** A run as the log has it. */
export interface History {
  inbox: Inbox[];
  /** All events of the journal, in order. */
  events: RunEvent[];
  /** The last inbox message that the journal has consumed; 0 for none. */
  upTo: number;
  /** The stream sequence of the last journal message; 0 for none. */
  journalSeq: number;
}

const TRIES = 5;

/**
 * Reads a run. A replica may answer with old data, so a read counts only if it holds the message in hand
 * and all that the journal has consumed; else it is read again, from the leader. (A journal that is old
 * is caught by the fence.)
 *
 * @param holds - A stream sequence of the inbox that must be in it; 0 for none.
 * @throws {LogUnavailableError} If it cannot be had.
 */
export async function readHistory(deps: Deps, run: string, holds: number, fresh = false): Promise<History> {
  const { log, clock } = deps;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (attempt > 0) await sleep(clock, 20 * attempt);
    const options = { fresh: fresh || attempt > 0 };
    const journal = await log.read(log.subjects.journal(run), options);
    const inbox = await log.read(log.subjects.inbox(run), options);
    const decisions = journal.map((stored) => decode(Decision, stored.text, place(stored)));
    const upTo = decisions.at(-1)?.upTo ?? 0;
    const complete = (inbox.at(-1)?.seq ?? 0) >= Math.max(holds, upTo);
    // What the leader does not have is gone: the run was purged.
    if (!complete && attempt < TRIES - 1) continue;
    return {
      inbox: readable(inbox),
      events: decisions.flatMap((decision) => decision.events),
      upTo,
      journalSeq: journal.at(-1)?.seq ?? 0,
    };
  }
  throw new LogUnavailableError(`read run ${run}`, "its history stayed incomplete");
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
function readable(inbox: Stored[]): Inbox[] {
  return inbox.flatMap((stored) => {
    try {
      return [{ seq: stored.seq, at: stored.at, message: decode(InboxMessage, stored.text, place(stored)) }];
    } catch (error) {
      if (error instanceof MalformedMessageError) return [];
      throw error;
    }
  });
}

export function place(stored: { subject: string; seq: number }): string {
  return `${stored.subject} (sequence ${stored.seq})`;
}
