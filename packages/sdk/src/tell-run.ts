import {
  DeadLetter,
  type Duration,
  decode,
  encode,
  fromFailure,
  type InboxMessage,
  RunClosedError,
  type RunEvent,
  RunNotFoundError,
  RunParkedError,
  type TerminalEvent,
} from "@stepstream/contracts";
import type { Clock, EventLog, Stored } from "@stepstream/event-log";
import { timeoutMs, within } from "./call-timeout.ts";
import { RunExistence } from "./run-existence.ts";
import { endOf, eventsOf, isOwnEnd, lastDecision, readStatus, reasonIn, stateOf } from "./run-status.ts";
import { untilAnswered } from "./start-run.ts";
import { watchJournal } from "./watch-journal.ts";

interface Context {
  log: EventLog;
  clock: Clock;
  run: string;
  signal: AbortSignal;
  /** The caller chose the message's id: it may have been sent, and answered, long before. */
  repeatable: boolean;
  timeout: Duration | undefined;
}

/**
 * Sends a run a message, and waits for what its journal says to that.
 *
 * T1. What is stored is folded once, or its sender is told that the run had closed.
 * T2. No answer from the bus is no failure: the same message is sent again, and its id makes it one.
 * T3. The sender of a message that was dead-lettered learns why; it does not wait for an answer.
 * T4. When the time is over, the sender learns whether the message is stored, and what keeps it from being handled.
 * T5. A message reaches the run that it was meant for, or none: it may still be on its way after its call was given up, and
 *     the id may have been started again meanwhile. So it says what its sender had read of the inbox.
 *
 * @param what - For people, e.g. `signal "approve"`.
 * @param answer - What an event says to the message; undefined if it is about something else.
 * @throws {RunClosedError} The run was over, or ended, before the message took effect.
 * @throws {RunParkedError} It is a cancel, and the run is parked: the message is stored.
 * @throws {RunNotFoundError} There is no such run; nothing was sent.
 * @throws {MalformedMessageError} The coordinator could not read it.
 * @throws {CallTimeoutError} No answer in time.
 *
 * Checked elsewhere:
 *   T1  tell-run.test.ts: to a run that is over, ends just then, or never was, says so
 *   T2  client.test.ts: once, where the bus does not answer: the same message again, with the same id
 *   T3  tell-run.test.ts: learns that its message is among the dead letters
 *   T4  tell-run.test.ts: ends with its time-out, and says that the message is stored and that no coordinator is there
 *   T5  tell-run.test.ts: says which run it is for, and learns that it is gone where another was started under its id
 */
export async function tellRun<T>(
  context: Context,
  what: string,
  message: Extract<InboxMessage, { id: string }>,
  answer: (event: RunEvent) => { value: T } | undefined,
): Promise<T> {
  const { clock, run, timeout } = context;
  const given = new AbortController();
  const signal = AbortSignal.any([context.signal, given.signal]);
  const sent: Sent = { stage: "not sent" };
  try {
    return await within(
      clock,
      `${what} of run ${run}`,
      timeout,
      () => tell({ ...context, signal }, sent, message, answer),
      () => known(context, sent),
    );
  } finally {
    given.abort();
  }
}

/** How far the message got. */
interface Sent {
  stage: "not sent" | "sent" | "stored";
}

async function tell<T>(
  context: Context,
  sent: Sent,
  message: Extract<InboxMessage, { id: string }>,
  answer: (event: RunEvent) => { value: T } | undefined,
): Promise<T> {
  const { log, clock, run, repeatable } = context;
  const journal = log.subjects.journal(run);
  const inbox = log.subjects.inbox(run);
  const patienceMs = timeoutMs(context.timeout);
  const look = <R>(act: () => Promise<R>) => untilAnswered(clock, `look at run ${run}`, act, patienceMs);
  const last = await look(() => log.last(inbox, { fresh: true }));
  if (!last) throw new RunNotFoundError(run, log.subjects.namespace);
  const before = await look(() => lastDecision(log, run));
  let found: { value: T } | undefined;
  const answerIn = (stored: Stored) => {
    for (const event of eventsOf(stored)) found ??= answer(event);
  };
  // A message that was sent before may have been answered before; a new one cannot.
  const fromSeq = repeatable ? 1 : (before?.seq ?? 0) + 1;
  const reread = () => log.read(journal, { fromSeq });
  const ended = before && endOf(before);
  const over = ended && (await look(() => isOwnEnd(log, run, before, last))) ? ended : undefined;
  if (over) {
    if (repeatable) for (const stored of await look(reread)) answerIn(stored);
    if (!found) throw new RunClosedError(run, stateOf(over));
    return (found as { value: T }).value;
  }

  // The server compares ids across all runs, and another may have been sent something under an id of the caller's.
  // Then the run alone knows a repeat for one.
  const once = repeatable ? { ifLost: "resend" as const } : { id: message.id };
  const text = encode(`a message to run ${run}`, { ...message, after: last.seq });
  sent.stage = "sent";
  const send = () => {
    // It may have been given up while the bus was away.
    context.signal.throwIfAborted();
    return log.append(log.subjects.inboxFrom("client", run), text, once);
  };
  const { seq } = await untilAnswered(clock, `tell run ${run} (${message.type})`, send, patienceMs);
  sent.stage = "stored";

  let end: TerminalEvent | undefined;
  const inText = JSON.stringify(message.id).slice(1, -1);
  const see = (stored: Stored) => {
    if (stored.text.includes(inText) || endOf(stored)) answerIn(stored);
    end ??= endOf(stored);
    return found !== undefined || end !== undefined;
  };
  const existence = new RunExistence(log, run);
  let looks = 0;
  const rereadAll = async () => {
    const isFirst = looks++ === 0;
    // The first look is at once: nothing can be expected of it.
    if (!isFirst) await mustNotBeDead(log, run, seq);
    const news = await reread();
    const answered = news.some((stored) => stored.text.includes(inText) || endOf(stored));
    if (!isFirst && !answered) {
      await mustBeStored(log, run, seq);
      // One whose start cannot be read can be terminated.
      if (message.type !== "TerminateRequested") await existence.check();
    }
    if (message.type === "CancelRequested" && !answered) await mustNotBeParked(log, run, seq);
    if (!isFirst && !answered) await mustBeThere(log, run, last.seq);
    return news;
  };
  await watchJournal({ ...context, reread: rereadAll, see });
  // The end came live, and what told of the answer may have been lost. What is stored counts.
  if (!found) for (const stored of await look(reread)) answerIn(stored);
  if (!found) {
    // The end may be that of another run, which was started under the id meanwhile.
    const oldest = await look(() => log.oldest("EVENTS", log.subjects.inboxFrom("client", run)));
    if (oldest && oldest.seq > last.seq) throw new RunNotFoundError(run, log.subjects.namespace, true);
    throw new RunClosedError(run, stateOf(end!));
  }
  return found.value;
}

/** @throws {RunNotFoundError} The message is gone, and so is its run: deleted, or lost with its stream. */
async function mustBeStored(log: EventLog, run: string, seq: number): Promise<void> {
  const last = await log.last(log.subjects.inbox(run), { fresh: true });
  if (!last || last.seq < seq) throw new RunNotFoundError(run, log.subjects.namespace, true);
}

/** @throws {RunParkedError} The record is newer than the message: a coordinator has it, and can do nothing with it. */
async function mustNotBeParked(log: EventLog, run: string, seq: number): Promise<void> {
  const parked = await log.last(log.subjects.parked(run));
  if (parked && parked.seq > seq) throw new RunParkedError(run, reasonIn(parked).error.message);
}

/** @throws {RunNotFoundError} The run that was meant has been deleted; another one may have its id. */
async function mustBeThere(log: EventLog, run: string, lastSeq: number): Promise<void> {
  const oldest = await log.oldest("EVENTS", log.subjects.inboxFrom("client", run));
  if (!oldest || oldest.seq > lastSeq) throw new RunNotFoundError(run, log.subjects.namespace);
}

/** @throws What is wrong with the message, if it is among the dead letters. */
async function mustNotBeDead(log: EventLog, run: string, seq: number): Promise<void> {
  const inbox = log.subjects.inboxFrom("client", run);
  for (const { subject, text } of await log.read(log.subjects.dead("-", run, 0))) {
    let letter: DeadLetter;
    try {
      letter = decode(DeadLetter, text, subject);
    } catch {
      continue;
    }
    const { code, message } = letter;
    if (letter.seq === seq && letter.subject === inbox)
      throw fromFailure(letter.error ?? { name: "MalformedMessageError", code, message });
  }
}

/** So long coordinators have to answer a roll call: a little more than the second after which they say it unasked. */
const ROLL_CALL_MS = 1_200;

/** What can be said when there is no answer. */
async function known({ log, clock, run }: Context, { stage }: Sent): Promise<string> {
  if (stage === "not sent") return "Nothing was sent: nats-server did not answer.";
  if (stage === "sent") return "Whether the message is stored is unknown: nats-server did not answer.";
  const stored = "The message is stored and takes effect once a coordinator handles it.";
  const parked = await readStatus(log, run).then(
    (status) => status.parked,
    () => undefined,
  );
  if (parked) return `${stored} The run is parked: ${parked.error.message}`;
  return (await isCoordinatorUp(log, clock))
    ? `${stored} A coordinator is running; it may be busy.`
    : `${stored} No coordinator answers in namespace "${log.subjects.namespace}": start one.`;
}

function isCoordinatorUp(log: EventLog, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (up: boolean) => {
      clock.clearTimeout(timer);
      listening.stop();
      resolve(up);
    };
    const timer = clock.setTimeout(() => done(false), ROLL_CALL_MS);
    const listening = log.listen(log.subjects.presence, () => done(true));
    log.broadcast(log.subjects.rollCall, JSON.stringify({ v: 1, type: "RollCall" }));
  });
}
