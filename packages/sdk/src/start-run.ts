import {
  checkId,
  decodeInbox,
  encode,
  InvalidInputError,
  isOfNewerVersion,
  LogUnavailableError,
  RunAlreadyExistsError,
  type RunStarted,
  toWire,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import { type Clock, type EventLog, type Stored, sleep } from "@stepstream/event-log";
import { backoffMs, exponential } from "./backoff.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** The run that has the id, and the stream sequence of the message that started it. */
export interface Start {
  readonly status: "started" | "attached";
  readonly seq: number;
}

/** So long a call waits for an answer of the log, where its caller sets no other limit. */
const PATIENCE_MS = 30_000;
/** So often what is left of a deleted run is removed before it is given up. */
const TRIES = 5;
const BACKOFF = exponential({ initial: "100ms", max: "2s", jitter: "equal" });

/**
 * Starts a run: one message, fenced so that it can only be the first of its inbox.
 *
 * S1. The input is checked first; the raw value is what travels, and the run parses it.
 * S2. No answer is not a failure: the same message is sent again, until the caller's time is over (30 s by default).
 * S3. A start that is refused reads the first message. Its own: it had been stored all along.
 *
 * @throws {InvalidInputError} The input does not fit, or cannot be sent; nothing was sent.
 * @throws {RunAlreadyExistsError} There is a run with this id (and `onConflict` is "reject", or its workflow another).
 * @throws {LogUnavailableError} No answer in `patienceMs`. Starting again with the same run id is safe.
 *
 * Checked elsewhere:
 *   S1  client.test.ts: sends nothing that does not fit, and says where it does not
 *   S2  client.test.ts: gives up after a while without an answer, and says that doing it again is safe
 *   S3  client.test.ts: happens once where there is no answer and it %s
 */
export async function startRun(
  { log, clock }: { log: EventLog; clock: Clock },
  workflow: AnyWorkflow,
  input: unknown,
  options: {
    run: string;
    onConflict: "reject" | "attach";
    /** Default 30 s. */
    patienceMs?: number | undefined;
    /** What else the message says. */
    extra?: Pick<RunStarted, "trace" | "baggage" | "delayMs" | "timeoutMs" | "slots" | "signals">;
  },
): Promise<Start> {
  const { run, onConflict, patienceMs, extra = {} } = options;
  const act = <T>(what: string, fn: () => Promise<T>) => untilAnswered(clock, `${what} run ${run}`, fn, patienceMs);
  checkRunId(run);
  const id = newId(clock);
  const text = startMessage(workflow, input, id, extra);
  const subject = log.subjects.inboxFrom("client", run);
  for (let attempt = 1; ; attempt++) {
    try {
      const append = () => log.append(subject, text, { expectLast: 0, id });
      return { status: "started", seq: (await act("start", append)).seq };
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
    }
    // Read before the inbox: what it has is older than any start that comes after the look at the inbox.
    const journal = log.subjects.journal(run);
    const decided = await act("look at", () => log.last(journal, { fresh: true }));
    const first = await act("look at", () => readStart(log, run, { fresh: true }));
    if (first?.started?.id === id) return { status: "started", seq: first.stored.seq };
    if (onConflict === "attach" && first?.started?.workflow === workflow.name)
      return { status: "attached", seq: first.stored.seq };
    // What came after a run was deleted, from a worker that was slow, say, is no run; nor is the rest of an inbox whose
    // deletion was interrupted.
    const upTo = first?.stray;
    if (upTo === undefined || attempt === TRIES) throw new RunAlreadyExistsError(run);
    await act("start", () => log.remove(subject, { upTo }));
    if (decided) await act("start", () => log.remove(journal, { upTo: decided.seq }));
  }
}

/**
 * The message that started a run: the first that its clients have sent. `started` is absent if it cannot be read, or is none.
 * `stray`: no run began with it, nor with those that follow up to this sequence, so the id is free. undefined if there is
 * nothing at all.
 */
export async function readStart(
  log: EventLog,
  run: string,
  options: { fresh?: boolean } = {},
): Promise<{ stored: Stored; started: RunStarted | undefined; stray?: number } | undefined> {
  const inbox = await log.read(log.subjects.inboxFrom("client", run), options);
  const [stored] = inbox;
  if (!stored) return undefined;
  const stray = () => {
    const next = inbox.findIndex(({ text }, i) => i > 0 && text.includes('"RunStarted"'));
    return inbox.at(next < 0 ? -1 : next - 1)!.seq;
  };
  try {
    const message = decodeInbox(stored.subject, stored.text, `${stored.subject} #${stored.seq}`);
    return message.type === "RunStarted"
      ? { stored, started: message }
      : { stored, started: undefined, stray: stray() };
  } catch (error) {
    if (isOfNewerVersion(error)) return { stored, started: undefined };
    // What cannot be read is in the dead letters. Only with a journal is there a run all the same.
    const journal = await log.last(log.subjects.journal(run), options);
    return { stored, started: undefined, ...(journal ? {} : { stray: stray() }) };
  }
}

function startMessage(workflow: AnyWorkflow, input: unknown, id: string, extra: Partial<RunStarted>): string {
  const what = `workflow "${workflow.name}"`;
  const sent = toWire(workflow.input, input);
  if (!sent.ok) throw new InvalidInputError(what, sent.path, sent.message);
  const { name, version } = workflow;
  const message: RunStarted = { v: 1, type: "RunStarted", id, workflow: name, version, input: sent.value, ...extra };
  return encode(`the start of a run of ${what}`, message);
}

/**
 * Does it again, with growing waits, while the log is unavailable: an election, a server that restarts, a lost answer. For
 * what may safely be done twice.
 *
 * @param patienceMs - After which it gives up. Default 30 s.
 * @throws {LogUnavailableError} It gave up: with the last error as its cause.
 */
export async function untilAnswered<T>(
  clock: Clock,
  what: string,
  act: () => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = clock.now() + patienceMs;
  // Once it was unknown whether it took effect, it stays unknown.
  let outcome: "not stored" | "unknown" = "not stored";
  for (let failed = 1; ; failed++) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof LogUnavailableError)) throw error;
      if (error.detail.outcome !== "not stored") outcome = "unknown";
      const wait = backoffMs(failed, BACKOFF, clock.random());
      if (clock.now() + wait > deadline)
        throw new LogUnavailableError(what, `${failed} tries in ${patienceMs / 1000} s; is nats-server up?`, {
          cause: error,
          outcome,
        });
      await sleep(clock, wait);
    }
  }
}

/** @throws {RangeError} It could not be a token of a subject. */
export function checkRunId(run: string): void {
  checkId("id of a run", run);
}

/** 128 random bits, from the clock, so that a simulation can be repeated. */
export function newId(clock: Clock): string {
  const word = () =>
    Math.floor(clock.random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return word() + word() + word() + word();
}
