import {
  checkDefinition,
  checkDuration,
  checkFunction,
  checkId,
  checkKeys,
  checkMessageId,
  checkName,
  checkNamespace,
  checkObject,
  checkOneOf,
  checkOptions,
  checkWhole,
  type Duration,
  durationMs,
  InvalidInputError,
  NotRunningError,
  RunNotFoundError,
  refuse,
  type Signal,
  toWire,
} from "@stepstream/contracts";
import { type Clock, type EventLog, type Subscription, systemClock } from "@stepstream/event-log";
import type { NatsTarget } from "@stepstream/event-log/jetstream";
import { createTelemetry, type Telemetry } from "@stepstream/telemetry";
import type { z } from "zod";
import { runStep, type StepJob } from "./builtin/run-step.ts";
import { BULK, type BulkOptions, type BulkReport, inBulk } from "./bulk.ts";
import { type CallOptions, timeoutMs, unlessClosed, within } from "./call-timeout.ts";
import { type CancelOptions, type HandleOf, RunHandle } from "./run-handle.ts";
import { type Counts, type RunState, type RunStatus, readStatus } from "./run-status.ts";
import { Schedules } from "./schedule/client.ts";
import { startInstead } from "./start-instead.ts";
import { checkRunId, newId, type Start, startRun, untilAnswered } from "./start-run.ts";
import { type AnyStep, policiesOf, type StepInput, type StepOutput } from "./step.ts";
import type { AnyWorkflow, None, RunOptions, WorkflowInput, WorkflowSignals } from "./workflow.ts";

export interface ConnectOptions {
  /** Where NATS is: a URL, several of one cluster, connection options, or a connection. Default "localhost:4222". */
  nats?: NatsTarget;
  /** Isolates tenants, environments and tests. Default "default". */
  namespace?: string;
  /** How many partitions the namespace has, if it is made now. Fixed from then on. */
  partitions?: number;
  /**
   * How long to wait for a server that does not answer yet. Default 0: `connect` fails at once. Afterwards the client
   * reconnects for as long as it takes.
   */
  connectTimeout?: Duration;
  /** A log of your own instead of `nats`; it stays open when the client is closed. */
  log?: EventLog;
  /** Where time comes from. Default: the system. */
  clock?: Clock;
  /**
   * Spans for starts, and the trace that the run goes on with. Default: with the OpenTelemetry SDK that this process
   * has set up before, if it has.
   */
  telemetry?: ClientTelemetry;
}

/** The part of telemetry that a client has use for. */
export type ClientTelemetry = Pick<Telemetry, "start">;

export interface StartOptions {
  /** The run's id, and its idempotency key. 1 to 64 of A-Z a-z 0-9 _ -. Default: a random one. */
  id?: string;
  /**
   * If there is a run with this id: "reject" (default) throws; "attach" follows that run, if it is of this workflow;
   * "terminate" stops it without clean-up if it is still going, deletes its history, and starts anew.
   */
  onConflict?: OnConflict;
  /** The workflow function is called so long after the start was stored. */
  delay?: Duration;
  /** The run fails with a TimeoutError if it has not ended in this time, its clean-up not counted. Default: none. */
  timeout?: Duration;
  /** How long this call waits until the start is stored. Default "30s". */
  callTimeout?: Duration;
}

export type OnConflict = "reject" | "attach" | "terminate";

/** One of many to start. */
export interface StartItem<W extends AnyWorkflow> extends Omit<StartOptions, "onConflict"> {
  input: WorkflowInput<W>;
}

/** What became of one of many. */
export type StartOutcome =
  | { readonly id: string; readonly status: "started" | "attached" }
  | { readonly id: string; readonly status: "failed"; readonly error: Error };

export interface StartManyOptions {
  onConflict?: OnConflict;
  /** Starts on their way at a time. Default 256. */
  concurrency?: number;
  /** Called as each is known, in no particular order. */
  onOutcome?: (outcome: StartOutcome) => void;
}

/** How to start a run of one step; `retry` and `timeout` are the step's, instead of its own. */
export interface RunStepOptions extends Omit<StartOptions, "timeout">, RunOptions {}

/** Which runs are meant: those that fit all that is said. */
export interface RunFilter {
  /** Also `"name@version"`. */
  workflow?: AnyWorkflow | string;
  /** Or one of several. */
  status?: RunState | readonly RunState[];
  /** Started at this time or later: a date, or epoch milliseconds. */
  since?: Date | number;
  /** Started before this time. */
  until?: Date | number;
  /** Children of this run. */
  parent?: string;
}

export interface ListOptions extends RunFilter {
  /** At most so many on a page. Default 100. */
  limit?: number;
  /** Where the page begins: `next` of the page before. Default: at the beginning. */
  cursor?: string;
  /** How long to wait for an answer. Default "30s". */
  timeout?: Duration;
}

/** Ids of runs, or which are meant. */
export type ManyRuns = Iterable<string> | AsyncIterable<string> | RunFilter;

/** A page of {@link Client.list}: an array of runs. */
export interface RunPage extends Array<RunStatus> {
  /** The `cursor` of the page that comes next; undefined: there is none. */
  readonly next?: string | undefined;
}

const CONNECT = ["nats", "namespace", "partitions", "connectTimeout", "log", "clock", "telemetry"];
const START = ["id", "onConflict", "delay", "timeout", "callTimeout"];
/** Those of an item of `startMany`, besides its input. */
const ITEM = ["id", "delay", "timeout", "callTimeout"];
const GOING = ["running", "parked"] as const satisfies RunState[];
const OVER = ["completed", "failed", "cancelled", "terminated"] as const satisfies RunState[];
const STATES = ["running", "parked", "completed", "failed", "cancelled", "terminated"] as const satisfies RunState[];

/** Those of a {@link RunFilter}. */
const FILTER = ["workflow", "status", "since", "until", "parent"];

/** Runs read at a time by `list`. */
const LIST_CONCURRENCY = 64;

/** Starts runs and follows them. */
export class Client {
  /** Schedules: what starts runs by the clock. */
  readonly schedules = new Schedules(this);
  readonly #log: EventLog;
  readonly #ownLog: boolean;
  readonly #clock: Clock;
  readonly #telemetry: ClientTelemetry;
  readonly #closed = new AbortController();
  readonly #connection: Subscription | undefined;
  #isOver = false;

  constructor(log: EventLog, ownLog: boolean, clock: Clock, telemetry: ClientTelemetry) {
    this.#log = log;
    this.#telemetry = telemetry;
    this.#clock = clock;
    this.#ownLog = ownLog;
    // Nobody waits for what cannot come any more.
    this.#connection = log.onConnection?.((change) => {
      if (change.state === "closed")
        this.#closed.abort(new NotRunningError("The client's connection", `closed for good (${change.why})`));
    });
  }

  /**
   * Starts a run; resolves once that is stored. At most one run is ever started with an id.
   *
   * Without an answer from the bus it is tried again for 30 s.
   *
   * @throws {InvalidInputError} The input does not fit the workflow's schema; nothing was sent.
   * @throws {RunAlreadyExistsError} There is a run with this id.
   * @throws {LogUnavailableError} No answer. Whether it was started is unknown; starting it again with the same id is safe.
   */
  async start<W extends AnyWorkflow>(
    workflow: W,
    input: WorkflowInput<W>,
    options: StartOptions = {},
  ): Promise<HandleOf<W>> {
    this.#mustBeOpen();
    checkDefinition("workflow", "workflow", workflow);
    checkOptions("start", options, START);
    const { id = newId(this.#clock) } = options;
    const { seq } = await this.#start(workflow, input, { ...options, id });
    return this.#handle(id, workflow, seq);
  }

  /**
   * Starts many runs, e.g. 10,000, with many starts on their way at a time. One that cannot be started keeps none of
   * the others.
   *
   * @returns What became of each, in the order of the items.
   */
  async startMany<W extends AnyWorkflow>(
    workflow: W,
    items: Iterable<StartItem<W>> | AsyncIterable<StartItem<W>>,
    options: StartManyOptions = {},
  ): Promise<StartOutcome[]> {
    this.#mustBeOpen();
    checkDefinition("workflow", "workflow", workflow);
    checkOptions("startMany", options, ["onConflict", "concurrency", "onOutcome"]);
    const { concurrency = 256, onConflict = "reject", onOutcome } = options;
    checkWhole("concurrency", concurrency);
    if (onOutcome !== undefined) checkFunction("onOutcome", onOutcome);
    const outcomes: StartOutcome[] = [];
    const going = new Set<Promise<void>>();
    let index = 0;
    for await (const { input, ...item } of items) {
      const at = index++;
      const { id = newId(this.#clock) } = item;
      const start = async () => {
        checkKeys("of an item of startMany", item, ITEM);
        return this.#start(workflow, input, { onConflict, ...item, id });
      };
      const one = start()
        .then(
          ({ status }): StartOutcome => ({ id, status }),
          (error): StartOutcome => ({ id, status: "failed", error }),
        )
        .then((outcome) => {
          outcomes[at] = outcome;
          going.delete(one);
          onOutcome?.(outcome);
        });
      going.add(one);
      if (going.size >= concurrency) await Promise.race(going);
    }
    await Promise.all(going);
    return outcomes;
  }

  /**
   * Starts a run with a signal that is there from the start; or, if there is a run with this id, sends it the signal.
   *
   * @throws {InvalidInputError} Input or payload do not fit; nothing was sent.
   * @throws {RunAlreadyExistsError} The run with this id is of another workflow.
   * @throws {RunClosedError} The run with this id is over.
   */
  async signalWithStart<W extends AnyWorkflow, K extends keyof WorkflowSignals<W> & string>(
    workflow: W,
    input: WorkflowInput<W>,
    options: Omit<StartOptions, "id" | "onConflict"> & {
      id: string;
      signal: { name: K; payload: z.input<WorkflowSignals<W>[K]>; id?: string };
    },
  ): Promise<HandleOf<W>> {
    this.#mustBeOpen();
    checkDefinition("workflow", "workflow", workflow);
    checkObject("options of signalWithStart", options);
    checkKeys("of signalWithStart", options, ["id", "signal", "delay", "timeout", "callTimeout"]);
    const { signal, ...rest } = options;
    checkObject("signal of signalWithStart", signal);
    checkKeys("of the signal of signalWithStart", signal, ["name", "payload", "id"]);
    const { name, payload, id = newId(this.#clock) } = signal;
    checkMessageId("id of a signal", id);
    if (!Object.hasOwn(workflow.signals, name))
      throw new RangeError(`Workflow "${workflow.name}" declares no signal "${name}".`);
    const sent = toWire(workflow.signals[name], payload);
    if (!sent.ok) throw new InvalidInputError(`signal "${name}"`, sent.path, sent.message, { run: options.id });
    const start = { ...rest, onConflict: "attach" as const };
    const { status, seq } = await this.#start(workflow, input, start, [{ id, name, payload: sent.value }]);
    const handle = this.#handle(options.id, workflow, seq);
    const { callTimeout: timeout } = rest;
    const told = { id, ...(timeout === undefined ? {} : { timeout }) };
    if (status === "attached") await (handle as RunHandle).signal(name, payload, told);
    return handle;
  }

  /**
   * Runs one step, as a job of its own: no workflow is needed for it. Its result is the step's output; what it throws
   * is the step's StepError.
   *
   * @throws {InvalidInputError} The input does not fit the step's schema; nothing was sent.
   */
  async runStep<S extends AnyStep>(
    step: S,
    input: StepInput<S>,
    options: RunStepOptions = {},
  ): Promise<RunHandle<StepOutput<S>, None, None, None>> {
    this.#mustBeOpen();
    checkDefinition("step", "step", step);
    checkOptions("runStep", options, [...START, "retry"]);
    const { retry, timeout, ...start } = options;
    const sent = toWire(step.input, input);
    if (!sent.ok) throw new InvalidInputError(`step "${step.name}"`, sent.path, sent.message);
    const { id = newId(this.#clock) } = start;
    const { name, heartbeatMs } = step;
    const job: StepJob = { step: name, input, ...policiesOf(step, { retry, timeout }), heartbeatMs };
    const { seq } = await this.#start(runStep, job, { ...start, id });
    return new RunHandle(this.#context, id, { ...runStep, output: step.output }, seq) as never;
  }

  /** A handle on a run of that workflow. Looks nothing up: its methods do. */
  handle<W extends AnyWorkflow>(workflow: W, id: string): HandleOf<W> {
    checkDefinition("workflow", "workflow", workflow);
    return this.#handle(id, workflow);
  }

  /** A handle on any run; its result is not checked. */
  get(id: string): RunHandle {
    checkRunId(id);
    return new RunHandle(this.#context, id);
  }

  /**
   * A page of runs: at most `limit` of them, newest first within the page. Reads as many runs as it takes to find that many:
   * for people, not for programs in a hurry. {@link Client.listAll} goes through all pages.
   *
   * @returns An array, whose `next` is the `cursor` of the page that comes next; undefined on the last one. What is started
   * or deleted meanwhile moves nothing else to another page.
   * @throws {CallTimeoutError} No answer within `timeout`, which is of one page.
   * @example const more = page.next === undefined ? [] : await client.list({ cursor: page.next });
   */
  async list(options: ListOptions = {}): Promise<RunPage> {
    this.#mustBeOpen();
    checkOptions("list", options, [...FILTER, "limit", "cursor", "timeout"]);
    const { limit = 100, cursor, timeout } = options;
    if (limit !== Number.POSITIVE_INFINITY) checkWhole("limit", limit);
    const fits = filterOf(options);
    if (cursor !== undefined) checkRunId(cursor);
    const read = () => this.#list({ fits, limit, cursor, patienceMs: timeoutMs(timeout) });
    return unlessClosed(this.#closed.signal, () => within(this.#clock, "the list of runs", timeout, read));
  }

  /**
   * All runs, page by page as they are asked for: see {@link Client.list}, of which `limit` is the size of a page.
   *
   * @example for await (const run of client.listAll({ status: "failed" })) console.log(run.id);
   */
  async *listAll(options: ListOptions = {}): AsyncGenerator<RunStatus, void, void> {
    for (let { cursor } = options; ; ) {
      const page = await this.list({ ...options, ...(cursor !== undefined && { cursor }) });
      yield* page;
      cursor = page.next;
      if (cursor === undefined) return;
    }
  }

  /**
   * Asks many runs to stop, and waits until each has taken note. @see RunHandle.cancel
   *
   * @param runs - Their ids, or which are meant; of those, only runs that are not over.
   * @returns What became of them. Rejects for no run: see `onOutcome`.
   * @example await client.cancelMany({ workflow: order, since: Date.now() - 3_600_000 }, { reason: "wrong price" });
   */
  async cancelMany(runs: ManyRuns, options: BulkOptions & Omit<CancelOptions, "signal"> = {}): Promise<BulkReport> {
    const { reason, grace, cleanupDeadline, timeout } = options;
    const each = present({ reason, grace, cleanupDeadline, timeout });
    checkOptions("cancelMany", options, [...BULK, "reason", "grace", "cleanupDeadline", "timeout"]);
    return this.#many(runs, GOING, options, (run) => run.cancel(each));
  }

  /** Ends many runs at once, without clean-up. @see RunHandle.terminate */
  async terminateMany(
    runs: ManyRuns,
    options: BulkOptions & { reason?: string } & CallOptions = {},
  ): Promise<BulkReport> {
    const each = present({ reason: options.reason, timeout: options.timeout });
    checkOptions("terminateMany", options, [...BULK, "reason", "timeout"]);
    return this.#many(runs, GOING, options, (run) => run.terminate(each));
  }

  /** Deletes all that is stored of many runs; of those that are meant by a filter, those that are over. @see RunHandle.delete */
  async deleteMany(runs: ManyRuns, options: BulkOptions & CallOptions = {}): Promise<BulkReport> {
    const each = present({ timeout: options.timeout });
    checkOptions("deleteMany", options, [...BULK, "timeout"]);
    return this.#many(runs, OVER, options, (run) => run.delete(each));
  }

  /** Starts many runs again; of those that are meant by a filter without a status, those that failed. @see RunHandle.retry */
  async retryMany(runs: ManyRuns, options: BulkOptions & CallOptions = {}): Promise<BulkReport> {
    const each = present({ timeout: options.timeout });
    checkOptions("retryMany", options, [...BULK, "timeout"]);
    return this.#many(runs, ["failed"], options, async (run) => ({ started: (await run.retry(each)).id }));
  }

  /** @param states - Those that a filter without a status means. */
  async #many(
    runs: ManyRuns,
    states: readonly RunState[],
    options: BulkOptions,
    act: (run: RunHandle) => Promise<{ started?: string } | void>,
  ): Promise<BulkReport> {
    this.#mustBeOpen();
    const { perSecond, concurrency, onOutcome } = options;
    if (perSecond !== undefined && !(perSecond > 0)) refuse("perSecond", perSecond, "a number above 0");
    if (concurrency !== undefined) checkWhole("concurrency", concurrency);
    if (onOutcome !== undefined) checkFunction("onOutcome", onOutcome);
    const ids = isFilter(runs) ? this.#chosen(runs, states) : runs;
    return inBulk(this.#clock, ids, async (id) => act(this.get(id)), options);
  }

  /** All are chosen before anything is done to one of them: what is done changes what a filter means. */
  async *#chosen(filter: RunFilter, states: readonly RunState[]): AsyncGenerator<string, void, void> {
    checkOptions("runs", filter, FILTER);
    const ids: string[] = [];
    const { status = states } = filter;
    for await (const { id } of this.listAll({ ...filter, status, limit: 1_000 })) ids.push(id);
    yield* ids;
  }

  /** By partition, and in it by id: so that a cursor, the last id that was looked at, says what comes after it. */
  async #list(how: {
    fits: (run: RunStatus) => boolean;
    limit: number;
    cursor: string | undefined;
    patienceMs: number;
  }): Promise<RunPage> {
    const { fits, limit, cursor, patienceMs } = how;
    const { subjects } = this.#log;
    const read = <T>(act: () => Promise<T>) => untilAnswered(this.#clock, "list runs", act, patienceMs);
    const first = cursor === undefined ? 0 : subjects.partition(cursor);
    const found: RunStatus[] = [];
    for (let p = first; p < subjects.partitions; p++) {
      const { inbox, journalsOfPartition, parked } = subjects.all;
      const listed = [inbox(p), journalsOfPartition(p), parked(p)].map((filter) =>
        read(() => this.#log.list("EVENTS", filter)),
      );
      const [inboxes = new Map(), ...others] = await Promise.all(listed);
      const counts = new Map([inboxes, ...others].flatMap((found) => [...found]));
      const ids = [...new Set([...inboxes.keys()].flatMap((subject) => subjects.runOfInbox(subject) ?? []))].sort();
      const left = cursor !== undefined && p === first ? ids.filter((id) => id > cursor) : ids;
      while (left.length > 0) {
        const some = left.splice(0, LIST_CONCURRENCY);
        const states = await Promise.all(some.map((id) => read(() => this.#statusIfRun(id, counts))));
        for (const run of states) {
          if (!run || !fits(run)) continue;
          // One more than the page holds: so there is a next one.
          if (found.length === limit) return pageOf(found, found.at(-1)!.id);
          found.push(run);
        }
      }
    }
    return pageOf(found, undefined);
  }

  /** Ends all waiting for runs (not the runs), and the connection if it is the client's own. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection?.stop();
    this.#closed.abort(new NotRunningError("The client", "closed"));
    if (this.#ownLog) await this.#log.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What has no start, or was deleted meanwhile, is no run, and keeps none of the others from being listed. */
  async #statusIfRun(id: string, counts: Counts): Promise<RunStatus | undefined> {
    try {
      return await readStatus(this.#log, id, counts);
    } catch (error) {
      if (error instanceof RunNotFoundError) return undefined;
      throw error;
    }
  }

  get #context() {
    return { log: this.#log, clock: this.#clock, closed: this.#closed.signal };
  }

  async #start(
    workflow: AnyWorkflow,
    input: unknown,
    options: StartOptions & { id: string },
    signals?: Signal[],
  ): Promise<Start> {
    const { id, onConflict = "reject", delay, timeout, callTimeout } = options;
    checkId("id of a run", id);
    checkOneOf("onConflict", onConflict, ["reject", "attach", "terminate"]);
    const extra = {
      ...(delay === undefined ? {} : { delayMs: durationMs(delay, "delay of a run") }),
      ...(timeout === undefined ? {} : { timeoutMs: checkDuration("timeout of a run", timeout, { min: 1 }) }),
      ...(signals ? { signals } : {}),
    };
    const log = this.#log;
    const clock = this.#clock;
    const { name, version } = workflow;
    checkName("name of a workflow", name);
    const act = (signal: AbortSignal) =>
      this.#telemetry.start({ id, workflow: name, version }, (carried) => {
        const start = { run: id, extra: { ...carried, ...extra }, patienceMs: timeoutMs(callTimeout) };
        if (onConflict !== "terminate") return startRun({ log, clock }, workflow, input, { ...start, onConflict });
        return startInstead(this.#context, workflow, input, start, signal);
      });
    const known = () => "Whether it is started is unknown; starting it again with the same id is safe.";
    return within(clock, `the start of run ${id}`, callTimeout, act, known);
  }

  #handle<W extends AnyWorkflow>(id: string, workflow: W, since?: number): HandleOf<W> {
    checkRunId(id);
    return new RunHandle(this.#context, id, workflow, since) as HandleOf<W>;
  }

  #mustBeOpen(): void {
    this.#closed.signal.throwIfAborted();
  }
}

/**
 * Connects to the bus as a client.
 *
 * @throws {LogUnavailableError} Nobody answers there.
 * @throws {PartitionMismatchError} The namespace has another number of partitions.
 * @throws {RangeError} The namespace is no token of a subject.
 * @example
 * await using client = await connect({ nats: "localhost:4222" });
 * const run = await client.start(order, { orderId: "o-1" }, { id: "order-o-1" });
 * console.log(await run.result());
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  checkOptions("connect", options, CONNECT);
  const { nats = "localhost:4222", namespace = "default", partitions, log } = options;
  const { clock = systemClock } = options;
  checkNamespace(namespace);
  if (partitions !== undefined) checkWhole("partitions", partitions, 1, 4_096);
  const telemetry = options.telemetry ?? createTelemetry({ namespace: log?.subjects.namespace ?? namespace });
  if (log) return new Client(log, false, clock, telemetry);
  // Only here: who brings a log needs no driver for NATS.
  const { connectEventLog } = await import("@stepstream/event-log/jetstream");
  const own = await connectEventLog({
    ...{ nats, namespace, clock },
    ...(partitions === undefined ? {} : { partitions }),
    waitMs: durationMs(options.connectTimeout ?? 0, "connectTimeout"),
  });
  return new Client(own, true, clock, telemetry);
}

function isFilter(runs: ManyRuns): runs is RunFilter {
  checkNotOne(runs);
  return !(Symbol.iterator in runs || Symbol.asyncIterator in runs);
}

/** The characters of a string can be gone through as well. */
function checkNotOne(runs: unknown): void {
  if (typeof runs !== "object" || runs === null) refuse("runs", runs, "ids in an array, or a filter");
}

/** Without what is undefined: options are absent, or have a value. */
function present<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

/** @throws {RangeError} It makes no sense. */
function filterOf({ workflow, status, since, until, parent }: RunFilter): (run: RunStatus) => boolean {
  const states = status === undefined ? undefined : [status].flat();
  for (const state of states ?? []) checkOneOf("status", state, STATES);
  const said = typeof workflow === "string" ? workflow : workflow?.name;
  const [name, version] = said?.split("@") ?? [];
  if (workflow !== undefined) checkName("name of a workflow", name);
  if (version !== undefined && !/^[1-9]\d{0,8}$/.test(version)) refuse("workflow", said, "a name, or name@version");
  const from = timeOf("since", since);
  const to = timeOf("until", until);
  if (parent !== undefined) checkRunId(parent);
  return (run) =>
    (name === undefined || run.workflow === name) &&
    (version === undefined || run.version === Number(version)) &&
    (states === undefined || states.includes(run.status)) &&
    (from === undefined || run.startedAt >= from) &&
    (to === undefined || run.startedAt < to) &&
    (parent === undefined || run.parent?.run === parent);
}

function timeOf(what: string, time: Date | number | undefined): number | undefined {
  if (time === undefined) return undefined;
  const at = time instanceof Date ? time.getTime() : time;
  return typeof at === "number" && Number.isFinite(at) ? at : refuse(what, time, "a date, or epoch milliseconds");
}

function pageOf(found: RunStatus[], next: string | undefined): RunPage {
  const page = found.sort((a, b) => b.startedAt - a.startedAt);
  // Not a thing of the list: it stays an array like any other.
  return Object.defineProperty(page, "next", { value: next });
}
