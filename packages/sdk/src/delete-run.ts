import { MAX_SLOT, RunNotFoundError, RunStillGoingError } from "@stepstream/contracts";
import type { Clock, EventLog } from "@stepstream/event-log";
import { endOf, eventsOf, isOwnEnd } from "./run-status.ts";
import { readStart, untilAnswered } from "./start-run.ts";

export interface Deleted {
  /** The highest slot number the run used: a new run under the id numbers its slots on from there. */
  readonly slots: number;
  /** How many messages of EVENTS were removed. */
  readonly messages: number;
}

/**
 * Deletes all that is stored of a run that is over.
 *
 * X1. The inbox goes before the journal: without it there is no run, and who starts the id again is not confused by an
 *     old journal.
 * X2. From then on another may start the id again. So all else goes before, and of the journal only what was read here.
 * X3. A deletion that was interrupted can be done again, and is no obstacle to a new start.
 * X4. A removal whose answer was lost is done again. It must not reach a run that was started meanwhile: so of the inbox,
 *     too, only what was there at first goes, and nothing goes once the caller has given up.
 *
 * @param options.end - Only if this journal message holds its end: the sequence. Another run of the id is not found.
 * @throws {RunStillGoingError} It is not over; nothing was deleted.
 * @throws {RunNotFoundError} There is no such run.
 *
 * Checked elsewhere:
 *   X1 X3  tell-run.test.ts: is deleted when it is over, and not before; an unfinished delete confuses nobody
 *   X4  tell-run.test.ts: is deleted without reaching the run that was started meanwhile, where an answer was lost
 *   X2  test/e2e/starting.test.ts: is no obstacle to a new start under the id
 */
export async function deleteRun(
  { log, clock }: { log: EventLog; clock: Clock },
  run: string,
  { signal, patienceMs, end }: { signal?: AbortSignal; patienceMs?: number | undefined; end?: number } = {},
): Promise<Deleted> {
  const { subjects } = log;
  const act = <T>(fn: () => Promise<T>) =>
    untilAnswered(
      clock,
      `delete run ${run}`,
      () => {
        signal?.throwIfAborted();
        return fn();
      },
      patienceMs,
    );
  const journal = await act(() => log.read(subjects.journal(run), { fresh: true }));
  const inbox = await act(() => log.last(subjects.inbox(run), { fresh: true }));
  const last = journal.findLast((stored) => eventsOf(stored).length > 0);
  if (!last || !endOf(last) || !(await act(() => isOwnEnd(log, run, last, inbox)))) {
    const first = inbox && (await act(() => readStart(log, run, { fresh: true })));
    // What a slow worker has sent to a run that was deleted is no run.
    const isThere = first ? first.stray === undefined : last !== undefined;
    throw isThere ? new RunStillGoingError(run) : new RunNotFoundError(run, subjects.namespace);
  }
  if (end !== undefined && last.seq !== end) throw new RunNotFoundError(run, subjects.namespace);
  let slots = 0;
  for (const event of journal.flatMap(eventsOf)) {
    const slot = "slot" in event ? event.slot : event.type === "RunContinued" ? (event.start.slots ?? 0) : 0;
    // No coordinator goes beyond it: it was made up, and a run that began there could open no slot.
    if (slot < MAX_SLOT) slots = Math.max(slots, slot);
  }
  const attempts = await act(() => log.list("EVENTS", subjects.all.attemptsOfRun(run)));
  // Of a slot that is done, if the acknowledgement was lost.
  const commands = await act(() => log.list("COMMANDS", subjects.all.commandsOfRun(run)));
  for (const subject of commands.keys()) await act(() => log.remove(subject));
  let messages = 0;
  for (const subject of [...attempts.keys(), subjects.parked(run)]) messages += await act(() => log.remove(subject));
  if (inbox) messages += await act(() => log.remove(subjects.inbox(run), { upTo: inbox.seq }));
  // There is no run any more: what is left of it would only be in the way of the next.
  const rest = () => log.remove(subjects.journal(run), { upTo: journal.at(-1)!.seq });
  messages += await untilAnswered(clock, `delete run ${run}`, rest, patienceMs);
  return { slots, messages };
}
