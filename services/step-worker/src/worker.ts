import {
  type BreakerChanged,
  checkDefinition,
  checkFunction,
  checkKeys,
  checkObject,
  checkOptions,
  checkWatchdog,
  checkWhole,
  MAX_TIMER_MS,
  NotRunningError,
  RELEASE,
  refuse,
  type WorkerPresence,
} from "@stepstream/contracts";
import {
  type Clock,
  deniedIn,
  type EventLog,
  type Subscription,
  systemClock,
  wallOf,
  watchClock,
} from "@stepstream/event-log";
import {
  CONNECT_OPTIONS,
  type ConnectOptions,
  checkConnectOptions,
  connectEventLog,
  type KeepAlive,
  startKeepAlive,
  untilServed,
} from "@stepstream/event-log/jetstream";
import {
  type AnyStep,
  gate,
  type HandlerInput,
  type HandlerOutput,
  type Literally,
  type WrongHandlerOutput,
} from "@stepstream/sdk";
import { createTelemetry, kindOf, Repeats } from "@stepstream/telemetry";
import { checkStallMs, type Watch } from "@stepstream/watchdog";
import { type GateOptions, gateHandler } from "./gate/handler.ts";
import { reportBlocked } from "./shell/blocked.ts";
import { Breaker, type BreakerState } from "./shell/breaker.ts";
import { Cancels } from "./shell/cancels.ts";
import type { StepContext } from "./shell/context.ts";
import { DEFAULTS, type Deps, type Settings, type WorkerEvent } from "./shell/deps.ts";
import { logAtExit } from "./shell/exit-log.ts";
import { isolationOf } from "./shell/isolation.ts";
import { Lane, type Served } from "./shell/lane.ts";
import type { LoggerOption } from "./shell/logger.ts";
import { Pulse } from "./shell/pulse.ts";
import { guardAttempts, type Running } from "./shell/running.ts";
import { createMarks } from "./shell/second-start.ts";
import type { WorkerTelemetry } from "./shell/telemetry.ts";

export interface WorkerOptions extends Partial<ConnectOptions>, Partial<Settings> {
  /** Instead of `nats` and `namespace`: a log that is connected already, and stays so on `stop()`. */
  log?: EventLog;
  /** For people: logs, the connection, breaker reports. Default: `w-` and a random number. */
  name?: string;
  clock?: Clock;
  /** Where it and its handlers (`ctx.log`) log to. Default: the console. */
  logger?: LoggerOption;
  /** Default: that of `@stepstream/telemetry`, which traces if this process has set up OpenTelemetry. */
  telemetry?: WorkerTelemetry;
  /** What it does, for logs and tests. What it throws is logged and changes nothing. */
  onEvent?: (event: WorkerEvent) => void;
  /**
   * Reports code that blocks the event loop for `stallMs` (default 2,500, at least 500), with its place: the event
   * "blocked". The code is not stopped. `false`: not watched. Default: watched, unless `clock` is given, or this is not
   * the main thread.
   */
  watchdog?: false | { stallMs?: number };
  /**
   * Keeps commands alive from a thread, on a second connection, while a handler computes for longer than the ack wait: up
   * to the attempt's time-out. Needs the settings of the connection (`nats`), not an open one. `false`: not. Default: it
   * does, unless `clock` is given.
   */
  keepAliveThread?: boolean;
}

export type Handler<S> = (
  input: HandlerInput<S>,
  context: StepContext<S>,
) => Promise<HandlerOutput<S>> | HandlerOutput<S>;

/** The form that makes the compiler take `async () => "a"` for the literal that it is. */
type AsyncHandler<S> = (input: HandlerInput<S>, context: StepContext<S>) => Literally<HandlerOutput<S>>;

export interface Worker {
  readonly name: string;
  /**
   * Says who does a step. Before `start()`.
   *
   * The handler's input has passed the step's schema; what it returns has to. A throw is a failed attempt,
   * retried as the step's policy says; an error with `retry: "never"`, or one of the step's own by `ctx.fail`,
   * is final. A handler may run more than once for one slot (crashes, lost connections): see
   * `ctx.idempotencyKey`.
   *
   * @throws {RangeError} The step has a handler already, or shares a breaker by name but not by numbers.
   */
  handle<S extends AnyStep>(step: S, handler: NoInfer<AsyncHandler<S>>): Worker;
  handle<S extends AnyStep>(step: S, handler: NoInfer<Handler<S>>): Worker;
  /** For the compiler's message alone: no call fits it. */
  handle<S extends AnyStep, const R>(
    this: WrongHandlerOutput<Awaited<R>, HandlerOutput<S>>,
    step: S,
    handler: (input: HandlerInput<S>, context: StepContext<S>) => R,
  ): Worker;
  /** Runs the commands of gates (`runGates`, a pipeline's `.gate`) on this machine. */
  gates(options?: GateOptions): Worker;
  /** Connects and takes commands. */
  start(): Promise<Worker>;
  /**
   * Takes no more commands, lets running attempts finish, then aborts them and hands their commands back to
   * other workers without using up an attempt.
   *
   * @param options.drainMs - How long they may finish, in milliseconds. Default: the worker's, 20,000.
   */
  stop(options?: { drainMs?: number }): Promise<void>;
  /**
   * Why it cannot take work now, for probes and people: not started, no connection, a step whose queue cannot be taken
   * now, stopping. Undefined: it is ready.
   */
  readonly notReady: string | undefined;
  /** The state of each circuit breaker, by its name. */
  breakers(): Record<string, BreakerState>;
}

const OPTIONS = [
  ...CONNECT_OPTIONS,
  ...Object.keys(DEFAULTS),
  "log",
  "logger",
  "telemetry",
  "onEvent",
  "watchdog",
  "keepAliveThread",
];
const NATS = "nats://127.0.0.1:4222";
/** So long commands are not taken because the keep-alive thread has not logged in yet. */
const KEEP_ALIVE_LOGIN_MS = 2_000;
/** Where the watchdog does not report what blocks the event loop, so long a stall is. */
const STALL_MS = 2_500;
/** So long a handler that was started twice is told of. */
const RECENT_MS = 3_600_000;
const yes = () => true;
const no = () => false;

/**
 * A worker: runs steps. Any number of them, on any machines, share the work.
 *
 * @example await createWorker({ nats, namespace }).handle(charge, async (input, ctx) => { … }).start();
 */
export function createWorker(options: WorkerOptions): Worker {
  checkObject("options of a worker", options);
  checkKeys("of a worker", options, OPTIONS);
  checkConnectOptions(options);
  if (options.onEvent !== undefined) checkFunction("onEvent", options.onEvent);
  if (options.telemetry !== undefined) checkObject("telemetry", options.telemetry);
  if (options.logger !== undefined) checkObject("logger", options.logger);
  for (const setting of ["ackWaitMs", "cleanUpMs", "drainMs"] as const)
    if (options[setting] !== undefined)
      checkWhole(setting, options[setting], setting === "ackWaitMs" ? 1 : 0, MAX_TIMER_MS);
  checkWatchdog(options.watchdog);
  if (options.keepAliveThread !== undefined && typeof options.keepAliveThread !== "boolean")
    refuse("keepAliveThread", options.keepAliveThread, "true or false");
  if (options.watchdog) checkStallMs(options.watchdog.stallMs);
  const clock = options.clock ?? systemClock;
  const name = options.name ?? `w-${Math.floor(clock.random() * 2 ** 40).toString(36)}`;
  const logger = options.logger ?? console;
  const settings: Settings = {
    ackWaitMs: options.ackWaitMs ?? DEFAULTS.ackWaitMs,
    cleanUpMs: options.cleanUpMs ?? DEFAULTS.cleanUpMs,
    drainMs: options.drainMs ?? DEFAULTS.drainMs,
  };
  const steps = new Map<string, Served>();
  const breakers = new Map<string, Breaker>();
  const announced = new Map<string, BreakerState>();
  const repeats = new Repeats();
  /** Handlers that were started twice, the oldest first. */
  const twice: { step: string; at: number }[] = [];
  let lanes: Lane[] = [];
  /** Ends the wait for a server, at the start. */
  const stopping = new AbortController();
  let state: "new" | "running" | "stopping" | "stopped" = "new";
  let log: EventLog;
  let deps: Deps;
  let subscriptions: Subscription[] = [];
  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;
  let watch: Watch | undefined;
  /** Why there is no connection, while there is none. */
  let cut: string | undefined;
  let stopExitLog: (() => void) | undefined;

  function emit(event: WorkerEvent): void {
    if (event.type === "started-twice") twice.push({ step: event.step, at: clock.now() });
    // Where nothing is logged, what stops all work must be visible all the same.
    if (!options.onEvent && event.type === "denied") logger.error(event.error.message, { needed: event.needed });
    try {
      options.onEvent?.(event);
    } catch (error) {
      logger.error("onEvent threw", { error: String(error) });
    }
  }

  function warn(what: string, error: unknown, run?: string): void {
    const held = repeats.admit(kindOf(what, error), clock.now());
    if (held === undefined) return;
    const text = run === undefined ? what : `${what} (run ${run})`;
    emit({ type: "trouble", what: held > 0 ? `${text} (${held} more since the last)` : text, error });
  }

  function breakerOf(step: AnyStep): Breaker | undefined {
    const policy = step.breaker;
    if (!policy) return undefined;
    const known = breakers.get(policy.name);
    if (known) {
      if (known.policy.failures === policy.failures && known.policy.cooldownMs === policy.cooldownMs) return known;
      throw new RangeError(`Step "${step.name}" shares breaker "${policy.name}", but with other numbers.`);
    }
    const breaker = new Breaker(policy, clock, (now) => onBreaker(policy.name, now));
    breakers.set(policy.name, breaker);
    return breaker;
  }

  function onBreaker(breaker: string, now: BreakerState): void {
    const sharing = lanes.filter((lane) => lane.served.breaker?.policy.name === breaker);
    if ((announced.get(breaker) ?? "closed") !== now) {
      announced.set(breaker, now);
      for (const { served } of sharing) {
        const step = served.step.name;
        emit({ type: "breaker", step, breaker, state: now });
        const changed: BreakerChanged = { v: 1, type: "BreakerChanged", worker: name, step, state: now };
        log.broadcast(log.subjects.breaker(step), JSON.stringify(changed));
        deps.telemetry.breaker?.(step, now);
      }
    }
    for (const lane of sharing) lane.pull();
  }

  /** Of a step, in the last hour. */
  function startedTwice(step: string): { startedTwice?: number } {
    while (twice[0] && clock.now() - twice[0].at > RECENT_MS) twice.shift();
    const count = twice.filter((one) => one.step === step).length;
    return count > 0 ? { startedTwice: count } : {};
  }

  /** Somebody wants to know who is there. */
  function answerRollCall(): void {
    const present: WorkerPresence = {
      v: 1,
      type: "WorkerPresence",
      worker: name,
      steps: lanes.map(({ served: { step, breaker }, running }) => ({
        step: step.name,
        concurrency: step.concurrency,
        running,
        ...(breaker && { breaker: breaker.state }),
        ...startedTwice(step.name),
      })),
      release: RELEASE,
      at: wallOf(clock),
      ...deniedIn(log),
    };
    log.broadcast(log.subjects.workers, JSON.stringify(present));
  }

  function onCancel(run: string, slot: number, reason: string): void {
    for (const lane of lanes) lane.find(run, slot)?.running?.cancel(reason);
  }

  function keepAlive(ackWaitMs: number): KeepAlive | undefined {
    if (options.clock || options.keepAliveThread === false) return undefined;
    const doing = "keep commands alive from a thread";
    const onTrouble = (error: Error) => warn(doing, error);
    const started = options.log
      ? "this process was given an open event log, and not the settings of a connection"
      : startKeepAlive({ nats: options.nats ?? NATS, name: `${name} keep-alive`, clock, ackWaitMs, onTrouble });
    if (typeof started !== "string") return started;
    const without =
      "A handler that blocks the event loop for longer than the ack wait loses its command to another worker";
    warn(doing, new Error(`${started}. ${without}`));
    return undefined;
  }

  /** Waits for that, but not for long. */
  async function loggedIn({ ready }: KeepAlive): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = clock.setTimeout(late.resolve, KEEP_ALIVE_LOGIN_MS);
    await Promise.race([ready, late.promise]);
    clock.clearTimeout(timer);
  }

  function suspectAll(stalledMs: number): void {
    if (!watch && !options.clock && stalledMs >= STALL_MS && Number.isFinite(stalledMs))
      warn(
        "run on time",
        new Error(`The event loop was blocked, or the process frozen, for ${Math.round(stalledMs)} ms`),
      );
    for (const lane of lanes) lane.suspect(stalledMs);
  }

  function* runningAttempts(): Iterable<Running> {
    for (const lane of lanes) for (const { running } of lane.inHand) if (running) yield running;
  }

  async function drain(drainMs: number): Promise<void> {
    if (drainMs > 0) for (const running of runningAttempts()) running.noteStop();
    await Promise.all(lanes.map((lane) => lane.close()));
    const wait = (ms: number) => Promise.all(lanes.map((lane) => lane.settled(ms)));
    if ((await wait(drainMs)).includes(false)) {
      const leaveAt = clock.now() + settings.cleanUpMs;
      for (const running of runningAttempts()) running.drain(leaveAt);
      // And a little longer, for what they have to say to the log.
      await wait(settings.cleanUpMs + 2_000);
    }
    state = "stopped";
    for (const subscription of subscriptions) subscription.stop();
    stopExitLog?.();
    deps.cancels.stop();
    deps.pulse.stop();
    deps.keepAlive?.stop();
    watch?.stop();
    for (const breaker of breakers.values()) breaker.stop();
    if (!options.log) await log.close();
  }

  async function begin(): Promise<void> {
    const onWaiting = options.onWaiting ?? ((error: unknown) => warn("wait for nats-server", error));
    let connectedAtMs: number;
    try {
      const { signal } = stopping;
      const defaults = { nats: NATS, namespace: "default", signal };
      log = options.log ?? (await connectEventLog({ ...defaults, ...options, name, onWaiting, clock }));
      connectedAtMs = log.serverNow();
    } catch (error) {
      state = "stopped";
      throw error;
    }
    const shortestMs = Math.min(...[...steps.values()].map((served) => served.ackWaitMs));
    deps = {
      log,
      clock,
      name,
      logger,
      settings,
      emit,
      warn,
      telemetry: options.telemetry ?? createTelemetry({ namespace: log.subjects.namespace }),
      cancels: new Cancels(clock, onCancel, warn),
      pulse: new Pulse(clock, shortestMs / 4, suspectAll),
      isolation: isolationOf(clock),
      keepAlive: keepAlive(shortestMs),
      connectedAtMs: () => connectedAtMs,
      newMark: createMarks(clock),
      stopping: stopping.signal,
      alive: () => state !== "stopped",
    };
    lanes = [...steps.values()].map((served) => new Lane(deps, served));
    deps.cancels.listen(log);
    deps.pulse.start();
    const attempts = () => Array.from(runningAttempts(), ({ where }) => where);
    if (!options.clock) stopExitLog = logAtExit({ logger, name, attempts });
    if (options.watchdog !== false && (options.watchdog || !options.clock))
      watch = reportBlocked(options.watchdog?.stallMs, (event) =>
        event.type === "trouble" ? warn(event.what, event.error) : emit(event),
      );
    // What was delivered before the cut may be another's by now.
    subscriptions = [
      log.onError(warn),
      log.onReconnect(() => {
        connectedAtMs = log.serverNow();
        suspectAll(Number.POSITIVE_INFINITY);
      }),
      log.listen(log.subjects.rollCall, answerRollCall),
      watchClock(log, clock, (aheadMs) => emit({ type: "clock", aheadMs })),
    ];
    const connection = log.onConnection?.((change) => {
      cut = change.state === "up" ? undefined : change.why;
      emit({ type: "connection", ...change });
      // Nothing can be taken, reported or given back any more. Others get what is in hand.
      if (change.state === "closed") worker.stop({ drainMs: 0 }).catch((error) => warn("stop", error));
    });
    const denied = log.onDenied?.((report) => emit({ type: "denied", ...report }));
    // With a listener the log looks at the streams every few seconds. It closes where the namespace was made again with another
    // number of partitions: results would go to inboxes that no coordinator reads.
    const lost = log.onStreamsLost?.(() => {});
    for (const subscription of [connection, denied, lost]) if (subscription) subscriptions.push(subscription);
    // The first handler may block this thread, which the keep-alive thread needs for its login.
    if (deps.keepAlive) await loggedIn(deps.keepAlive);
    try {
      const patience = { waitMs: options.waitMs ?? 0, onWaiting, signal: stopping.signal };
      await Promise.all(lanes.map((lane) => untilServed(clock, patience, () => lane.start())));
    } catch (error) {
      await drain(0);
      throw error;
    }
  }

  const worker: Worker = {
    name,
    handle(step: AnyStep, handler: Handler<any>, ...more: unknown[]) {
      if (more.length > 0) refuse("third argument of handle()", more[0], "the options of step(…)");
      checkDefinition("step", "step of handle()", step);
      if (state !== "new")
        throw new NotRunningError(`The worker, to be given step "${step.name}",`, `${state} already`);
      checkFunction(`handler of step "${step.name}"`, handler);
      if (steps.has(step.name)) throw new RangeError(`Step "${step.name}" has a handler in this worker already.`);
      const ackWaitMs = step.heartbeatMs ?? settings.ackWaitMs;
      steps.set(step.name, { step, handler, breaker: breakerOf(step), ackWaitMs });
      return worker;
    },
    gates(gateOptions) {
      checkOptions("gates()", gateOptions, ["cwd", "env", "passEnv"]);
      return worker.handle(gate, gateHandler(gateOptions));
    },
    async start() {
      if (state !== "new") throw new NotRunningError("The worker", `${state} already`);
      if (steps.size === 0) throw new RangeError("The worker has nothing to do: call handle(step, handler) first.");
      guardAttempts();
      state = "running";
      started = begin();
      await started;
      return worker;
    },
    async stop(given = {}) {
      checkOptions("stop()", given, ["drainMs"]);
      const { drainMs = settings.drainMs } = given;
      checkWhole("drainMs", drainMs, 0, MAX_TIMER_MS);
      if (state === "new") state = "stopped";
      else if (state === "running") {
        state = "stopping";
        stopping.abort(new NotRunningError("The worker", "stopped"));
        // One that is still connecting is stopped when it has; one that could not has nothing to stop.
        stopped = (async () => (await started!.then(yes, no)) && drain(drainMs))().then(() => {});
      }
      await stopped;
    },
    get notReady() {
      if (state === "new") return "it has not started";
      if (state !== "running") return state === "stopping" ? "it is stopping" : "it has stopped";
      if (cut !== undefined) return `no connection to nats-server (${cut})`;
      if (lanes.length === 0) return "it is connecting";
      const missing = lanes.find((lane) => !lane.taken);
      return missing && `the queue of step "${missing.served.step.name}" cannot be taken now`;
    },
    breakers: () => Object.fromEntries([...breakers].map(([key, breaker]) => [key, breaker.state])),
  };
  return worker;
}
