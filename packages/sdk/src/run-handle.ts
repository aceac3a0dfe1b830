import {
  CallTimeoutError,
  checkMessageId,
  checkName,
  checkOptions,
  checkText,
  type Duration,
  decode,
  durationMs,
  encode,
  type Failure,
  fromFailure,
  fromWire,
  InvalidInputError,
  InvalidOutputError,
  LogUnavailableError,
  MAX_QUERY_BYTES,
  type Progress,
  QueryAnswer,
  QueryFailedError,
  type QueryRun,
  QueryUnansweredError,
  RunClosedError,
  RunNotFoundError,
  SignalRefusedError,
  shown,
  type TerminalEvent,
  toFailure,
  toWire,
  UpdateRefusedError,
  WorkflowCancelledError,
  WorkflowTerminatedError,
} from "@stepstream/contracts";
import { type Clock, type EventLog, type Stored, sleep } from "@stepstream/event-log";
import type { z } from "zod";
import { type CallOptions, timeoutMs, unlessClosed, within } from "./call-timeout.ts";
import { deleteRun } from "./delete-run.ts";
import { retryRun } from "./retry-run.ts";
import { RunExistence } from "./run-existence.ts";
import { type HistoryEntry, readHistory } from "./run-history.ts";
import { followProgress } from "./run-progress.ts";
import { endOf, isOwnEnd, lastDecision, type RunStatus, readStatus, upToOf } from "./run-status.ts";
import { newId, untilAnswered } from "./start-run.ts";
import { tellRun } from "./tell-run.ts";
import { watchJournal } from "./watch-journal.ts";
import type {
  AnyWorkflow,
  QueryInput,
  QueryOutput,
  QuerySchemas,
  SignalSchemas,
  UpdateSchemas,
  WorkflowOutput,
  WorkflowQueries,
  WorkflowSignals,
  WorkflowUpdates,
} from "./workflow.ts";

/** How long a query that nobody has answered looks whether there is such a run. */
const LOOK_MS = 1_000;

/** What the handles of one client share. */
export interface HandleContext {
  log: EventLog;
  clock: Clock;
  /** Aborted when the client is closed: nobody waits any longer. */
  closed: AbortSignal;
}

interface Telling {
  /** The message's identity: the same id again is the same message. Default: a random one. */
  id?: string;
  /** Gives up waiting for the answer; the message stands. */
  signal?: AbortSignal;
  /** How long to wait for the answer; the message stands. Default "30s". */
  timeout?: Duration;
}
/** How to cancel a run. */
export interface CancelOptions extends Omit<Telling, "id"> {
  /** For people; in the history and in the WorkflowCancelledError. */
  reason?: string;
  /** How long workers have to clean up. Default: the coordinator's, "10s". */
  grace?: Duration;
  /** How long all clean-up may take; then the run is terminated. Default: as long as it takes. */
  cleanupDeadline?: Duration;
}

const TELLING = ["id", "signal", "timeout"];
const CALL = ["timeout"];

/** Nothing to say need not be said. */
type Arguments<I, Options> = undefined extends I ? [input?: I, options?: Options] : [input: I, options?: Options];
export type SignalArguments<P> = Arguments<P extends z.ZodType ? z.input<P> : unknown, Telling>;
export type UpdateArguments<D> = Arguments<
  D extends { input: infer I extends z.ZodType } ? z.input<I> : unknown,
  Telling
>;
export type UpdateOutput<D> = D extends { output: infer O extends z.ZodType } ? z.output<O> : unknown;
export type QueryArguments<D> = Arguments<z.input<QueryInput<D>>, { timeout?: Duration }>;
export type QueryAnswerOf<D> = z.output<QueryOutput<D>>;

/** The handle of a run of a workflow. */
export type HandleOf<W extends AnyWorkflow> = RunHandle<
  WorkflowOutput<W>,
  WorkflowSignals<W>,
  WorkflowQueries<W>,
  WorkflowUpdates<W>
>;

/** Not what every object has: "constructor" is the name of a signal only where it is declared. */
function declaredIn(declared: Readonly<Record<string, any>> | undefined, name: string): any {
  return declared && Object.hasOwn(declared, name) ? declared[name] : undefined;
}

/** The run took the message for a repeat of another one: it has no effect, and is not reported as received. */
function usedFor(id: string, name: string): Failure {
  return toFailure(new Error(`The id ${shown(id)} was used before, for "${name}". Use an id of its own.`));
}

/** A run, from outside. Any number of processes may hold one for the same run. */
export class RunHandle<
  O = unknown,
  S extends SignalSchemas = SignalSchemas,
  Q extends QuerySchemas = QuerySchemas,
  U extends UpdateSchemas = UpdateSchemas,
> {
  readonly id: string;
  readonly #context: HandleContext;
  readonly #workflow: AnyWorkflow | undefined;
  #existence: RunExistence;
  /** The stream sequence of the message that started it, where this handle's client has sent that. */
  readonly #since: number | undefined;

  /** @param since - There is a run, and no decision about messages before this stream sequence is of it. */
  constructor(context: HandleContext, id: string, workflow?: AnyWorkflow, since?: number) {
    this.id = id;
    this.#context = context;
    this.#workflow = workflow;
    this.#existence = new RunExistence(context.log, id, since);
    this.#since = since;
  }

  /**
   * Waits for the end, however long that takes; also while the run is parked, or the bus is away.
   *
   * @param options.timeout - Gives up the wait, not the run. Default: waits as long as it takes.
   * @param options.signal - Gives up the wait, not the run.
   * @throws What the run failed with: a StepError, ValidationError, WorkflowFailedError …
   * @throws {WorkflowCancelledError} It was cancelled.
   * @throws {RunNotFoundError} There is no such run.
   */
  async result(options: { signal?: AbortSignal; timeout?: Duration } = {}): Promise<O> {
    checkOptions("result", options, ["signal", "timeout"]);
    this.#context.closed.throwIfAborted();
    if (options.timeout === undefined) return this.#result(options.signal);
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    const wait = () => this.#result(signal);
    const goesOn = () => "It is not over, and goes on.";
    return within(this.#context.clock, `the result of run ${this.id}`, options.timeout, wait, goesOn).finally(() =>
      stop.abort(),
    );
  }

  async #result(signal: AbortSignal | undefined): Promise<O> {
    const { log } = this.#context;
    let end: TerminalEvent | undefined;
    // It was started here, or looked for: then only what happens while it is waited for can remove it.
    let looks = this.#existence.known ? 0 : 1;
    await this.#watch(
      async () => {
        const last = await lastDecision(log, this.id);
        const isOver = last && endOf(last) !== undefined && (await this.#isOwn(last));
        if (!isOver && looks++ > 0) await this.#mustExist();
        return last && (isOver || (await this.#isOwn(last))) ? [last] : [];
      },
      (stored) => {
        const ended = end ?? endOf(stored);
        if (ended && upToOf(stored) >= (this.#since ?? 0)) end = ended;
        return end !== undefined;
      },
      signal,
    );
    return this.#open(end!);
  }

  /** @throws {RunNotFoundError} There is no such run. */
  async status(options: CallOptions = {}): Promise<RunStatus> {
    checkOptions("status", options, CALL);
    const { log, clock, closed } = this.#context;
    const read = () =>
      untilAnswered(clock, `look at run ${this.id}`, () => readStatus(log, this.id), timeoutMs(options.timeout));
    return unlessClosed(closed, () => within(clock, `the status of run ${this.id}`, options.timeout, read));
  }

  /**
   * How far the run is: the last it said, then live; ends when the run ends, well or badly.
   * @param options.timeout - Ends it with a CallTimeoutError. Default: as long as the run takes.
   * @throws {RunNotFoundError} There is no such run.
   */
  async *progress(options: { timeout?: Duration } = {}): AsyncGenerator<Progress, void, void> {
    checkOptions("progress", options, CALL);
    const { clock, closed } = this.#context;
    closed.throwIfAborted();
    const what = `progress of run ${this.id}`;
    const ms = options.timeout === undefined ? undefined : timeoutMs(options.timeout);
    const until = clock.now() + (ms ?? 0);
    await within(clock, what, ms, () => this.#mustExist(ms));
    const stop = new AbortController();
    const late = (ms: number) => stop.abort(new CallTimeoutError(what, ms, "The run goes on."));
    const timer = ms === undefined ? undefined : clock.setTimeout(() => late(ms), Math.max(0, until - clock.now()));
    try {
      yield* followProgress({
        ...this.#context,
        run: this.id,
        signal: AbortSignal.any([closed, stop.signal]),
        mustExist: () => this.#mustExist(),
        isOwn: (stored) => this.#isOwn(stored),
        since: this.#since,
      });
    } finally {
      if (timer !== undefined) clock.clearTimeout(timer);
    }
  }

  /**
   * Everything that is stored about the run, in the order of the stream. What cannot be read is there too.
   * @throws {RunNotFoundError} There is no such run.
   */
  async history(options: CallOptions = {}): Promise<HistoryEntry[]> {
    checkOptions("history", options, CALL);
    const { log, clock, closed } = this.#context;
    const read = () =>
      untilAnswered(clock, `read run ${this.id}`, () => readHistory(log, this.id), timeoutMs(options.timeout));
    const history = await unlessClosed(closed, () =>
      within(clock, `the history of run ${this.id}`, options.timeout, read),
    );
    if (history.length === 0) throw new RunNotFoundError(this.id, this.#context.log.subjects.namespace);
    return history;
  }

  /**
   * Asks the run to stop, and waits until it has taken note (not until it has stopped: see `result()`).
   *
   * @param options.reason - For people; in the history and in the WorkflowCancelledError.
   * @param options.grace - How long workers have to clean up. Default: the coordinator's, "10s".
   * @param options.cleanupDeadline - How long all clean-up may take, `w.uncancellable` and compensations included; then
   * the run is terminated. Default: as long as it takes.
   * @param options.signal - Gives up waiting for the answer; the request stands.
   * @throws {RunClosedError} The run was over, or ended, before the request took effect.
   * @throws {RunParkedError} The run is parked: the request is stored, and waits for a coordinator that can handle it.
   * @throws {RunNotFoundError} There is no such run; nothing was sent.
   */
  async cancel(options: CancelOptions = {}): Promise<void> {
    checkOptions("cancel", options, ["reason", "grace", "cleanupDeadline", "signal", "timeout"]);
    const { reason = "cancelled by a client", grace, cleanupDeadline } = options;
    checkText("reason", reason);
    const id = newId(this.#context.clock);
    await tellRun(
      this.#telling({ ...options, id: undefined }),
      "the cancellation",
      {
        v: 1,
        type: "CancelRequested",
        id,
        reason,
        ...(grace === undefined ? {} : { graceMs: durationMs(grace) }),
        ...(cleanupDeadline === undefined ? {} : { cleanupMs: durationMs(cleanupDeadline) }),
      },
      (event) => (event.type === "CancelAccepted" && event.id === id ? { value: undefined } : undefined),
    );
  }

  /**
   * Ends the run at once, without clean-up or compensations; its attempts are told to stop, and their results are
   * ignored. Works on parked runs too. Waits for the end.
   *
   * @throws {RunClosedError} The run was over, or ended in another way first.
   * @throws {RunNotFoundError} There is no such run; nothing was sent.
   */
  async terminate(options: { reason?: string } & Omit<Telling, "id"> = {}): Promise<void> {
    checkOptions("terminate", options, ["reason", "signal", "timeout"]);
    const { reason = "terminated by a client" } = options;
    checkText("reason", reason);
    const id = newId(this.#context.clock);
    const request = { v: 1, type: "TerminateRequested", id, reason } as const;
    await tellRun(this.#telling({ ...options, id: undefined }), "the termination", request, (event) =>
      event.type === "RunTerminated" ? { value: undefined } : undefined,
    );
  }

  /**
   * Tells the run something; resolves once it has taken note. Signals are kept until the workflow asks for them.
   *
   * @param options.id - Its identity: the same id again is the same signal. Default: a random one.
   * @throws {InvalidInputError} The payload does not fit; nothing was sent.
   * @throws {SignalRefusedError} The workflow declares no such signal, or the payload does not fit its version of it.
   * @throws {RunClosedError} The run was over, or ended, before it took note.
   * @throws {RunNotFoundError} There is no such run; nothing was sent.
   */
  async signal<K extends keyof S & string>(name: K, ...[payload, options = {}]: SignalArguments<S[K]>): Promise<void> {
    const { clock } = this.#context;
    checkName("name of a signal", name);
    checkOptions(`signal "${name}"`, options, TELLING);
    const { id = newId(clock) } = options;
    checkMessageId("id of a signal", id);
    const sent = this.#sent(`signal "${name}"`, declaredIn(this.#workflow?.signals, name), payload);
    const refused = await tellRun(
      this.#telling(options),
      `signal "${name}"`,
      { v: 1, type: "SignalReceived", id, name, payload: sent },
      (event) => {
        if (event.type === "SignalAccepted" && event.id === id)
          return { value: event.name === name ? undefined : usedFor(id, event.name) };
        if (event.type === "SignalRefused" && event.id === id) return { value: event.error };
        return undefined;
      },
    );
    if (refused) throw new SignalRefusedError(this.id, name, refused.message, { cause: fromFailure(refused) });
  }

  /**
   * Changes the run and waits for its answer.
   *
   * @throws {InvalidInputError} The input does not fit; nothing was sent.
   * @throws {UpdateRefusedError} The run turned it down: `cause` is what the validator threw, and nothing was changed. Or it
   *   ended, in whatever way, while the update was in progress: `cause` says how.
   * @throws What the handler threw.
   * @throws {RunClosedError} The run was over, or ended, before it had accepted the update; nothing was changed.
   * @throws {RunNotFoundError} There is no such run; nothing was sent.
   */
  async update<K extends keyof U & string>(
    name: K,
    ...[input, options = {}]: UpdateArguments<U[K]>
  ): Promise<UpdateOutput<U[K]>> {
    const { clock } = this.#context;
    checkName("name of an update", name);
    checkOptions(`update "${name}"`, options, TELLING);
    const { id = newId(clock) } = options;
    checkMessageId("id of an update", id);
    const schemas = declaredIn(this.#workflow?.updates, name);
    const sent = this.#sent(`update "${name}"`, schemas?.input, input);
    type Answer = { output?: unknown } | { failed: Failure } | { refused: Failure };
    let accepted = false;
    const answer = await tellRun<Answer>(
      this.#telling(options),
      `update "${name}"`,
      { v: 1, type: "UpdateRequested", id, name, input: sent },
      (event) => {
        if (event.type === "UpdateAccepted" && event.id === id && event.name !== name)
          return { value: { refused: usedFor(id, event.name) } };
        if (event.type === "UpdateAccepted" && event.id === id) accepted = true;
        if (event.type === "UpdateCompleted" && event.id === id) return { value: { output: event.output } };
        if (event.type === "UpdateFailed" && event.id === id) return { value: { failed: event.error } };
        if (event.type === "UpdateRefused" && event.id === id) return { value: { refused: event.error } };
        return undefined;
      },
    ).catch((error): Answer => {
      if (!accepted || !(error instanceof RunClosedError)) throw error;
      // Its coordinator refuses it at every other end. A termination asks no code of the run, and answers nothing.
      const why = "The run was terminated while the update was in progress, which may have changed something already.";
      return { refused: toFailure(new Error(why)) };
    });
    if ("refused" in answer) {
      const { refused } = answer;
      throw new UpdateRefusedError(this.id, name, refused.message, { cause: fromFailure(refused) });
    }
    if ("failed" in answer) throw fromFailure(answer.failed);
    return this.#checked(`update "${name}"`, schemas?.output, answer.output) as UpdateOutput<U[K]>;
  }

  /**
   * Asks the run something: answered from what it is now, also after its end, without changing anything.
   *
   * @param options.timeout - How long to wait for an answer. Default "5s".
   * @throws {InvalidInputError} The input does not fit; nothing was asked.
   * @throws {MessageTooLargeError} The input has more than 1,000,000 bytes.
   * @throws {QueryFailedError} The answer has more than 1,000,000 bytes, the workflow declares no such query, or its handler threw.
   * @throws {QueryUnansweredError} Nobody answered: is a coordinator up that runs this workflow?
   * @throws {RunNotFoundError} There is no such run.
   */
  async query<K extends keyof Q & string>(
    name: K,
    ...[input, options = {}]: QueryArguments<Q[K]>
  ): Promise<QueryAnswerOf<Q[K]>> {
    const { log, clock, closed } = this.#context;
    checkName("name of a query", name);
    checkOptions(`query "${name}"`, options, CALL);
    const declared = declaredIn(this.#workflow?.queries, name);
    const schemas = declared && "output" in declared ? declared : { input: undefined, output: declared };
    const sent = this.#sent(`query "${name}"`, schemas.input, input);
    const waitMs = timeoutMs(options.timeout === undefined ? "5s" : options.timeout);
    const until = clock.now() + waitMs;
    const question: QueryRun = { v: 1, type: "QueryRun", name, input: sent };
    const text = encode(`query "${name}" of run ${this.id}`, question, MAX_QUERY_BYTES);
    for (let left = waitMs; left > 0; left = until - clock.now()) {
      closed.throwIfAborted();
      const said = await unlessClosed(closed, () => log.ask(log.subjects.query(this.id), text, left));
      if (said !== undefined) {
        const { output, error } = decode(QueryAnswer, said, `an answer of run ${this.id}`);
        if (!error) return this.#checked(`query "${name}"`, schemas.output, output) as QueryAnswerOf<Q[K]>;
        const cause = fromFailure(error);
        if (cause instanceof QueryFailedError || cause instanceof RunNotFoundError) throw cause;
        throw new QueryFailedError(this.id, name, cause.message, { cause });
      }
      // Nobody is there just now; a coordinator may be about to take over.
      await sleep(clock, 100);
    }
    // Is there such a run? Without an answer to that either, it stays unknown.
    await within(clock, `a look at run ${this.id}`, LOOK_MS, () => this.#mustExist()).catch((error) => {
      if (!(error instanceof CallTimeoutError || error instanceof LogUnavailableError)) throw error;
    });
    throw new QueryUnansweredError(this.id, name, waitMs);
  }

  /**
   * Deletes all that is stored of the run, once it is over. Its id is free then: nothing keeps it from being started
   * again, or tells that it ever was.
   *
   * @throws {RunStillGoingError} It is not over; nothing was deleted.
   * @throws {RunNotFoundError} There is no such run.
   */
  async delete(options: CallOptions = {}): Promise<void> {
    checkOptions("delete", options, CALL);
    const { clock, closed } = this.#context;
    await unlessClosed(closed, () =>
      within(
        clock,
        `the deletion of run ${this.id}`,
        options.timeout,
        (signal) => deleteRun(this.#context, this.id, { signal, patienceMs: timeoutMs(options.timeout) }),
        () => "It may be deleted in part; deleting it again is safe.",
      ),
    );
    this.#existence = new RunExistence(this.#context.log, this.id);
  }

  /**
   * Starts it again, if it failed, was cancelled or was terminated: another run of the same workflow and version, with the
   * same input, time-out and baggage. What it did is not undone, and its history stays. Again is the same retry.
   *
   * @param options.id - Of the new run. Default: `<id>-retry-<sequence of the end>`.
   * @returns The new run.
   * @throws {RunNotRetriedError} It is not over, has completed, or is a child; nothing was started.
   * @throws {RunAlreadyExistsError} There is a run with that `id`.
   * @throws {RunNotFoundError} There is no such run.
   */
  async retry(options: { id?: string } & CallOptions = {}): Promise<RunHandle<O, S, Q, U>> {
    checkOptions("retry", options, ["id", ...CALL]);
    const { clock, closed } = this.#context;
    const { id, timeout } = options;
    const act = () => retryRun(this.#context, this.id, { id, patienceMs: timeoutMs(timeout) });
    const known = () => "Whether it is started is unknown; retrying it again is safe.";
    const started = await unlessClosed(closed, () =>
      within(clock, `the retry of run ${this.id}`, timeout, act, id === undefined ? known : undefined),
    );
    return new RunHandle(this.#context, started.id, this.#workflow, started.seq);
  }

  /** @throws {NotRunningError} The client is closed. */
  #telling({ signal, id, timeout }: { [K in keyof Telling]: Telling[K] | undefined }) {
    const { log, clock, closed } = this.#context;
    closed.throwIfAborted();
    return {
      log,
      clock,
      run: this.id,
      signal: signal ? AbortSignal.any([closed, signal]) : closed,
      repeatable: id !== undefined,
      timeout,
    };
  }

  /** What travels. @throws {InvalidInputError} */
  #sent(what: string, schema: z.ZodType | undefined, value: unknown): unknown {
    const sent = toWire(schema, value);
    if (!sent.ok) throw new InvalidInputError(what, sent.path, sent.message, { run: this.id });
    return sent.value;
  }

  #checked(what: string, schema: z.ZodType | undefined, value: unknown): unknown {
    const read = fromWire(schema, value);
    if (read.ok) return read.value;
    throw new InvalidOutputError(what, read.path, read.message, { run: this.id });
  }

  /** Of an end: is it this run's? What a handle of a new run learns live is. */
  async #isOwn(decision: Stored): Promise<boolean> {
    if (!endOf(decision)) return true;
    const { log, clock } = this.#context;
    if (this.#since !== undefined) return upToOf(decision) >= this.#since;
    return untilAnswered(clock, `look at run ${this.id}`, async () =>
      isOwnEnd(log, this.id, decision, await log.last(log.subjects.inbox(this.id), { fresh: true })),
    );
  }

  #watch(reread: () => Promise<readonly Stored[]>, see: (stored: Stored) => boolean, signal?: AbortSignal) {
    const { closed, ...source } = this.#context;
    const either = signal ? AbortSignal.any([closed, signal]) : closed;
    return watchJournal({ ...source, run: this.id, reread, see, signal: either });
  }

  async #mustExist(patienceMs?: number): Promise<void> {
    const { clock } = this.#context;
    await untilAnswered(clock, `look at run ${this.id}`, () => this.#existence.check(), patienceMs);
  }

  #open(end: TerminalEvent): O {
    if (end.type === "RunCancelled") throw new WorkflowCancelledError(this.id, end.reason);
    if (end.type === "RunFailed") throw fromFailure(end.error);
    if (end.type === "RunTerminated") throw new WorkflowTerminatedError(this.id, end.reason);
    return this.#checked(`workflow "${this.#workflow?.name}"`, this.#workflow?.output, end.output) as O;
  }
}
