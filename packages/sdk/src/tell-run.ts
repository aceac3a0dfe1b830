import {
  type InboxMessage,
  RunClosedError,
  type RunEvent,
  RunNotFoundError,
  type TerminalEvent,
} from "@stepstream/contracts";
import type { Clock, EventLog, Stored } from "@stepstream/event-log";
import { endOf, eventsOf, lastDecision, stateOf } from "./run-status.ts";
import { untilAnswered } from "./start-run.ts";
import { watchJournal } from "./watch-journal.ts";

/**
 * Tells a run something, and waits for what its journal says to that.
 *
 * T1. What is stored is folded once, or its sender is told that the run had closed.
 * T2. No answer from the bus is no failure: the same message is sent again, and its id makes it one.
 *
 * @param context.repeatable - The caller chose the message's id: it may have been sent, and answered, long before.
 * @param answer - What an event says to the message; undefined if it is about something else.
 * @throws {RunClosedError} The run was over, or ended, before the message took effect.
 * @throws {RunNotFoundError} There is no such run; nothing was sent.
 */
export async function tellRun<T>(
  context: { log: EventLog; clock: Clock; run: string; signal: AbortSignal; repeatable: boolean },
  message: Extract<InboxMessage, { id: string }>,
  answer: (event: RunEvent) => { value: T } | undefined,
): Promise<T> {
  const { log, clock, run, repeatable } = context;
  const journal = log.subjects.journal(run);
  const look = <R>(act: () => Promise<R>) => untilAnswered(clock, `look at run ${run}`, act);
  if (!(await look(() => log.last(log.subjects.inbox(run), { fresh: true }))))
    throw new RunNotFoundError(run, log.subjects.namespace);
  const before = await look(() => lastDecision(log, run));
  let found: { value: T } | undefined;
  const answerIn = (stored: Stored) => {
    for (const event of eventsOf(stored)) found ??= answer(event);
  };
  // A message that was sent before may have been answered before; a new one cannot.
  const fromSeq = repeatable ? 1 : (before?.seq ?? 0) + 1;
  const reread = () => log.read(journal, { fromSeq });
  const over = before && endOf(before);
  if (over) {
    if (repeatable) for (const stored of await look(reread)) answerIn(stored);
    if (!found) throw new RunClosedError(run, stateOf(over));
    return (found as { value: T }).value;
  }

  // The server compares ids across all runs, and another may have been told something under an id of the caller's.
  // Then the run alone knows a repeat for one.
  const once = repeatable ? {} : { id: message.id };
  await untilAnswered(clock, `tell run ${run} (${message.type})`, () =>
    log.append(log.subjects.inbox(run), JSON.stringify(message), once),
  );

  let end: TerminalEvent | undefined;
  const see = (stored: Stored) => {
    if (stored.text.includes(message.id) || endOf(stored)) answerIn(stored);
    end ??= endOf(stored);
    return found !== undefined || end !== undefined;
  };
  await watchJournal({ ...context, reread, see });
  // The end came live, and what told of the answer may have been lost. What is stored counts.
  if (!found) for (const stored of await look(reread)) answerIn(stored);
  if (!found) throw new RunClosedError(run, stateOf(end!));
  return found.value;
}
