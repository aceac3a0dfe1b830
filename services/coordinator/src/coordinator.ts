import {
  checkDefinition,
  checkFunction,
  checkKeys,
  checkObject,
  checkOptions,
  checkWatchdog,
  checkWhole,
  NotRunningError,
  refuse,
} from "@stepstream/contracts";
import {
  Backoff,
  type Clock,
  type EventLog,
  ServerClock,
  type Subscription,
  sleep,
  systemClock,
} from "@stepstream/event-log";
import {
  CONNECT_OPTIONS,
  type ConnectOptions,
  checkConnectOptions,
  connectEventLog,
} from "@stepstream/event-log/jetstream";
import type { AnyWorkflow } from "@stepstream/sdk";
import { builtinWorkflows } from "@stepstream/sdk/builtin";
import { createTelemetry, kindOf, Repeats } from "@stepstream/telemetry";
import {
  type Blocked,
  checkStallMs,
  isStopping,
  placeOf,
  type Suspect,
  type Watch,
  watchEventLoop,
} from "@stepstream/watchdog";
import type { RunExecution } from "./run/execution.ts";
import { guardGlobals } from "./run/globals.ts";
import { OWN } from "./run/positions.ts";
import { loopError } from "./run/watch.ts";
import { forgetWhose, queryKey, stoppedQueries, type Whose, whoseCode, whoseWereStopped } from "./run/whose.ts";
import type { ArchivedRun } from "./shell/archived-run.ts";
import { type Attached, attach } from "./shell/attached.ts";
import { type Boundary, createBoundary } from "./shell/boundary.ts";
import { DelayQueue } from "./shell/delay-queue.ts";
import {
  type CoordinatorEvent,
  type CoordinatorTelemetry,
  DEFAULTS,
  keyOf,
  type Settings,
  toldLoss,
} from "./shell/deps.ts";
import { Faults } from "./shell/faults.ts";
import { ForgottenAsks } from "./shell/forgotten.ts";
import { Incarnation } from "./shell/incarnation.ts";
import { Pace } from "./shell/pace.ts";
import { StrandedCommands } from "./shell/stranded.ts";
import { ADVICE, type Stopped, strike } from "./shell/strikes.ts";
import { Turns } from "./shell/turns.ts";

export interface CoordinatorOptions extends Partial<ConnectOptions> {
  /** The workflows it runs. Runs of others wait, parked, for a coordinator that knows them. */
  workflows: readonly AnyWorkflow[];
  /** Instead of `nats` and `namespace`: a log that is connected already, and stays so on `stop()`. */
  log?: EventLog;
  clock?: Clock;
  boundary?: Boundary;
  /** Default: the OpenTelemetry SDK of this process, if there is one. */
  telemetry?: CoordinatorTelemetry;
  /** What it does, for logs and tests. What it throws becomes a warning of the process and changes nothing. */
  onEvent?: (event: CoordinatorEvent) => void;
  settings?: Partial<Settings>;
  /**
   * Keeps the history of an ended run, where the namespace's retention asks for that; the run is removed when this has
   * returned. After a crash it may be called again for the same run. What it throws is a warning, and the run stays.
   */
  archive?: (run: ArchivedRun) => Promise<void> | void;
  /**
   * Keep for everything that workflow code asks for where it did so, at ten microseconds each: for tests. Default false:
   * the place of work that was not awaited is found out afterwards, by a replay.
   */
  keepPositions?: boolean;
  /**
   * Stops workflow code that never gives the event loop back (`while (true) {}`), and starts this coordinator again from
   * the log, in the same process; the run is tried once more, then parked. `stallMs`: how long the event loop may be
   * blocked, default 2,500, at least 500. `false`: not watched. Default: watched, unless `clock` is given, or this is not
   * the main thread. See docs/determinism.md.
   */
  watchdog?: false | { stallMs?: number };
}

const APART_MS = 60_000;
/** Last messages that are read in a second to know what the runs wait for that another coordinator had. */
const AUDITED_PER_SECOND = 2_500;

export interface Coordinator {
  readonly id: string;
  /** Connects and takes its share of the partitions. */
  start(): Promise<Coordinator>;
  /** Finishes what is under way and hands its partitions over. Nothing is lost if it is killed instead. */
  stop(): Promise<void>;
  /** Partitions it has, in order. */
  readonly partitions: readonly number[];
  /**
   * Why it cannot take work now, for probes and people: not started, no connection, a partition of its share that
   * cannot be taken now, stopped. Undefined: it is ready.
   */
  readonly notReady: string | undefined;
}

const OPTIONS = [
  ...CONNECT_OPTIONS,
  "workflows",
  "log",
  "boundary",
  "telemetry",
  "onEvent",
  "settings",
  "archive",
  "keepPositions",
  "watchdog",
];

/**
 * A coordinator: takes workflow runs further. Several share the partitions of a namespace, and take over
 * from one that is gone within 6 seconds.
 *
 * @throws {RangeError} Two workflows of the same name and version.
 */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  checkObject("options of a coordinator", options);
  checkKeys("of a coordinator", options, OPTIONS);
  checkConnectOptions(options);
  if (options.onEvent !== undefined) checkFunction("onEvent", options.onEvent);
  if (options.archive !== undefined) checkFunction("archive", options.archive);
  if (options.boundary !== undefined) checkFunction("boundary", options.boundary);
  if (options.telemetry !== undefined) checkObject("telemetry", options.telemetry);
  const { keepPositions } = options;
  if (keepPositions !== undefined && typeof keepPositions !== "boolean")
    refuse("keepPositions", keepPositions, "true or false");
  checkOptions("settings of a coordinator", options.settings, Object.keys(DEFAULTS));
  if (!Array.isArray(options.workflows)) refuse("workflows of a coordinator", options.workflows, "an array");
  const clock = options.clock ?? systemClock;
  const id = `c-${Math.floor(clock.random() * 2 ** 40).toString(36)}`;
  const workflows = byNameAndVersion([...builtinWorkflows, ...options.workflows]);
  const settings = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options.settings ?? {})) {
    if (value === undefined) continue;
    checkWhole(`settings.${name} of a coordinator`, value, 0);
    settings[name as keyof Settings] = value;
  }
  checkWatchdog(options.watchdog);
  if (options.watchdog) checkStallMs(options.watchdog.stallMs);
  const watched = options.watchdog !== false && (options.watchdog !== undefined || options.clock === undefined);
  const serverClock = new ServerClock(clock);
  const loops = new Set<string>();
  const faults = new Faults();
  let state: "new" | "running" | "stopped" = "new";
  let mailboxes = 1;
  const repeats = new Repeats();
  /** The connection in use, and whether it is ours to close. */
  let log: EventLog;
  let own = options.log === undefined;
  let telemetry: CoordinatorTelemetry;
  let attached: Attached;
  let incarnation: Incarnation | undefined;
  /** Why there is no connection, while there is none. */
  let cut: string | undefined;
  /** Of the log in use. */
  let connection: Subscription | undefined;
  let denied: Subscription | undefined;
  let lost: Subscription | undefined;
  /** Ends the wait for a server, at the start. */
  const stopping = new AbortController();
  /** Settles when the incarnation in use is abandoned. */
  let abandoned = Promise.withResolvers<void>();
  let restarted: Promise<void> | undefined;
  let watch: Watch | undefined;
  /** Runs whose code was stopped, to be written down. */
  let stopped: Stopped[] = [];
  const condemned = new WeakSet<RunExecution>();
  const boundary = options.boundary ?? createBoundary();
  /** Until then (by `performance.now()`) each turn has a macrotask of its own, so that it is known whose code is stopped. */
  let apartUntil = 0;

  function emit(event: CoordinatorEvent): void {
    // Where nothing is logged, what stops all work must be visible all the same.
    if (!options.onEvent && (event.type === "denied" || event.type === "lost"))
      process.emitWarning(event.type === "denied" ? event.error.message : toldLoss(event), {
        type: "StepstreamWarning",
      });
    try {
      options.onEvent?.(event);
    } catch (error) {
      process.emitWarning(`onEvent threw: ${error}`, { type: "StepstreamWarning" });
    }
  }

  function warn(what: string, error: unknown, run?: string): void {
    const held = repeats.admit(kindOf(what, error), clock.now());
    if (held === undefined) return;
    const text = held > 0 ? `${what} (${held} more since the last)` : what;
    emit({ type: "trouble", what: text, error, ...(run !== undefined && { run }) });
  }

  /** Another incarnation on the connection in use: nothing of it is under way yet. */
  function begin(): Incarnation {
    // Until a message has arrived: a run may be read, and wait for a timer, before that.
    if (!serverClock.known) serverClock.observe(log.serverNow());
    connection?.stop();
    cut = undefined;
    denied?.stop();
    denied = log.onDenied?.((report) => emit({ type: "denied", ...report }));
    lost?.stop();
    lost = log.onStreamsLost?.((streams) => {
      emit({ type: "lost", streams });
      if (!streams.includes("EVENTS")) return incarnation?.expectLoss();
      // What is in memory are runs of a log that is gone.
      abandon();
      restart();
    });
    connection = log.onConnection?.((change) => {
      cut = change.state === "up" ? undefined : change.why;
      emit({ type: "connection", ...change });
      if (change.state !== "closed") return;
      // Nothing of it comes back by itself: as if the process had been killed.
      abandon();
      restart();
    });
    // What is not watched is never detached, and pays nothing for it.
    attached = watched ? attach(log, clock, isStopping) : { log, clock, detach() {} };
    const { detach, ...port } = attached;
    let alive = true;
    attached.detach = () => {
      alive = false;
      detach();
    };
    return new Incarnation({
      ...port,
      serverClock,
      id,
      isOver: () => !alive,
      newMailbox: () => `${id}.${(mailboxes++).toString(36)}`,
      workflows,
      turns: new Turns(boundary, () => apartUntil > 0 && performance.now() < apartUntil),
      telemetry,
      emit: (event) => alive && emit(event),
      warn: (what, error, run) => alive && warn(what, error, run),
      forgotten: new ForgottenAsks(options.keepPositions),
      stranded: new StrandedCommands(port.log, port.clock),
      pace: new Pace(port.clock, AUDITED_PER_SECOND),
      later: new DelayQueue(port.clock, settings.deadlineAfterMs),
      settings,
      archive: options.archive,
      loops,
      // What an abandoned incarnation comes to is no fault of the run: parts of its turn are lost.
      faults: { add: (mark, fault) => alive && faults.add(mark, fault), of: (mark) => faults.of(mark) },
    });
  }

  // ---------------------------------------------------------------- code that is stopped

  function suspect(): Suspect | undefined {
    const whose = whoseCode();
    if (!whose || whose.execution.owner !== id) return undefined;
    const what = `${id} ${whose.execution.runId} ${whose.query ?? ""}`;
    return { what, stop: (blocked) => condemn(whose, blocked) };
  }

  /** Code was stopped that overflows its stack: it can be one of several runs', and then the next time it is only one's. */
  function stoppedOverflown(blocked: Blocked): boolean {
    const whose = whoseWereStopped().filter(({ execution }) => execution.owner === id);
    if (whose.length === 0) return false;
    // Of turns apart it is the last that began.
    const isKnown = whose.length === 1 || performance.now() < apartUntil;
    apartUntil = performance.now() + APART_MS;
    if (isKnown) condemn(whose.at(-1)!, blocked);
    else forgetWhose();
    return true;
  }

  /** Called in the middle of the code that is about to be stopped. */
  function condemn({ execution, query }: Whose, { ms, frames }: Blocked): void {
    const run = execution.runId;
    const where = placeOf(frames, OWN);
    const error = loopError(run, ms, where, ADVICE);
    execution.stop(error);
    forgetWhose();
    // What is left of an earlier incarnation.
    if (condemned.has(execution)) return;
    condemned.add(execution);
    if (query === undefined) stopped.push({ run, started: execution.started, where, error });
    else {
      const why = `its handler blocked the event loop for ${ms} ms and was stopped at ${where}. It is not called again in this process.`;
      stoppedQueries.set(queryKey(execution, query), why);
    }
    setImmediate(emit, { type: "stopped", run, ms, where, ...(query !== undefined && { query }) });
  }

  /** Continuations of any code are lost in a moment: whatever is left of them must have no effect. */
  function abandon(): void {
    attached?.detach();
    incarnation?.abandon();
    incarnation = undefined;
  }

  function restart(): void {
    const before = abandoned;
    abandoned = Promise.withResolvers();
    if (state === "running") restarted = again(abandoned);
    before.resolve();
  }

  /**
   * Begins from the log, on a new connection: what is left of the old one cannot be trusted.
   *
   * @param mine - Code may be stopped again meanwhile: then another call has taken over from this one.
   */
  async function again(mine: typeof abandoned): Promise<void> {
    const current = () => state === "running" && mine === abandoned;
    const backoff = new Backoff(clock);
    while (current()) {
      try {
        const reopened = await reopen();
        if (!current()) return reopened.abandon?.();
        log = reopened;
        own = true;
        const next = begin();
        for (let one = stopped[0]; one; one = stopped[0]) {
          if (await strike(next.deps, one)) emit({ type: "parked", run: one.run, error: one.error });
          if (!current()) return;
          stopped = stopped.filter((other) => other !== one);
        }
        incarnation = next;
        emit({ type: "restarted" });
        return await next.start();
      } catch (error) {
        if (!current()) return;
        abandon();
        warn("start again from the log", error);
        await sleep(clock, backoff.next());
      }
    }
  }

  async function reopen(): Promise<EventLog> {
    const old = log;
    if (own) old.abandon?.();
    if (old.reopen) return old.reopen();
    state = "stopped";
    throw new NotRunningError("The coordinator, whose log cannot be connected again,", "stopped");
  }

  /** Settles when it is in use, or stopped. Code may be stopped at any time, and then this begins again. */
  async function ready(): Promise<void> {
    for (let waited: unknown; waited !== restarted; ) {
      waited = restarted;
      await Promise.race([restarted, abandoned.promise]);
    }
  }

  const coordinator: Coordinator = {
    id,
    get partitions() {
      return incarnation?.partitions ?? [];
    },
    get notReady() {
      if (state !== "running") return state === "new" ? "it has not started" : "it has stopped";
      if (cut !== undefined) return `no connection to nats-server (${cut})`;
      return incarnation ? incarnation.notReady : "it starts again from the log";
    },
    async start() {
      if (state !== "new") throw new NotRunningError("The coordinator", `${state} already`);
      guardGlobals();
      const onWaiting = options.onWaiting ?? ((error: unknown) => warn("wait for nats-server", error));
      const { signal } = stopping;
      const defaults = { nats: "nats://127.0.0.1:4222", namespace: "default", name: id, signal };
      log = options.log ?? (await connectEventLog({ ...defaults, ...options, onWaiting, clock }));
      telemetry = options.telemetry ?? createTelemetry({ namespace: log.subjects.namespace });
      state = "running";
      incarnation = begin();
      if (watched)
        watch = watchEventLoop({
          ...(options.watchdog || {}),
          suspect,
          stoppedOverflown,
          onStopping: abandon,
          onStopped: restart,
          onBlocked: ({ ms, frames, over }) => emit({ type: "blocked", ms, where: placeOf(frames, OWN), over }),
          onFailed: (error) => warn("watch the event loop", error),
        });
      await Promise.race([incarnation.start(), abandoned.promise]);
      await ready();
      return coordinator;
    },
    async stop() {
      stopping.abort(new NotRunningError("The coordinator", "stopped"));
      if (state !== "running") return;
      state = "stopped";
      connection?.stop();
      denied?.stop();
      lost?.stop();
      await ready();
      const left = abandoned;
      if (incarnation) await Promise.race([incarnation.stop(), left.promise]);
      watch?.stop();
      // What is still to be tried again never will: another coordinator does it.
      attached?.detach();
      if (!own) return;
      if (left === abandoned) await log.close();
      else log.abandon?.();
    },
  };
  return coordinator;
}

function byNameAndVersion(workflows: readonly AnyWorkflow[]): Map<string, AnyWorkflow> {
  const map = new Map<string, AnyWorkflow>();
  for (const workflow of workflows) {
    checkDefinition("workflow", "workflow of a coordinator", workflow);
    const key = keyOf({ workflow: workflow.name, version: workflow.version });
    if (map.has(key) && map.get(key) !== workflow)
      throw new RangeError(`Workflow "${workflow.name}" version ${workflow.version} is given twice.`);
    map.set(key, workflow);
  }
  return map;
}
