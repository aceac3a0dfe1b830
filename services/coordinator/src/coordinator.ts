import { checkDefinition, checkObject, NotRunningError, refuse } from "@stepstream/contracts";
import { type Clock, type Consumption, type EventLog, type Subscription, systemClock } from "@stepstream/event-log";
import { type ConnectOptions, connectEventLog } from "@stepstream/event-log/jetstream";
import type { AnyWorkflow } from "@stepstream/sdk";
import { builtinWorkflows } from "@stepstream/sdk/builtin";
import { createTelemetry, Repeats } from "@stepstream/telemetry";
import { guardGlobals } from "./run/globals.ts";
import { type Boundary, createBoundary } from "./shell/boundary.ts";
import { DelayQueue } from "./shell/delay-queue.ts";
import {
  type CoordinatorEvent,
  type CoordinatorTelemetry,
  DEFAULTS,
  type Deps,
  keyOf,
  type Settings,
} from "./shell/deps.ts";
import { takeDueTimers } from "./shell/due.ts";
import { ForgottenAsks } from "./shell/forgotten.ts";
import { Guests } from "./shell/guests.ts";
import { Membership } from "./shell/membership.ts";
import { observe } from "./shell/observe.ts";
import { Partition } from "./shell/partition.ts";
import { ServerClock } from "./shell/server-clock.ts";
import { StrandedCommands } from "./shell/stranded.ts";

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
   * Keep for everything that workflow code asks for where it did so, at ten microseconds each: for tests. Default false:
   * the place of work that was not awaited is found out afterwards, by a replay.
   */
  keepPositions?: boolean;
}

export interface Coordinator {
  readonly id: string;
  /** Connects and takes its share of the partitions. */
  start(): Promise<Coordinator>;
  /** Finishes what is under way and hands its partitions over. Nothing is lost if it is killed instead. */
  stop(): Promise<void>;
  /** Partitions it has, in order. */
  readonly partitions: readonly number[];
}

/**
 * A coordinator: takes workflow runs further. Several share the partitions of a namespace, and take over
 * from one that is gone within 6 seconds.
 *
 * @throws {RangeError} Two workflows of the same name and version.
 */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  checkObject("options of a coordinator", options);
  if (!Array.isArray(options.workflows)) refuse("workflows of a coordinator", options.workflows, "an array");
  const clock = options.clock ?? systemClock;
  const id = `c-${Math.floor(clock.random() * 2 ** 40).toString(36)}`;
  const workflows = byNameAndVersion([...builtinWorkflows, ...options.workflows]);
  const partitions = new Map<number, Partition>();
  let state: "new" | "running" | "stopped" = "new";
  let log: EventLog;
  let deps: Deps;
  let membership: Membership;
  let guests: Guests;
  let due: Consumption;
  let observing: { stop(): void } | undefined;
  let settled: unknown;
  let mailboxes = 1;
  const releases = new Set<Promise<void>>();
  const repeats = new Repeats();
  let errors: Subscription | undefined;

  function emit(event: CoordinatorEvent): void {
    try {
      options.onEvent?.(event);
    } catch (error) {
      process.emitWarning(`onEvent threw: ${error}`, { type: "StepstreamWarning" });
    }
  }

  function warn(what: string, error: unknown): void {
    const held = repeats.admit(what, clock.now());
    if (held !== undefined)
      emit({ type: "trouble", what: held > 0 ? `${what} (${held} more since the last)` : what, error });
  }

  function assign(): void {
    if (state !== "running") return;
    for (let n = 0; n < log.subjects.partitions; n++) {
      const owned = membership.owns(n);
      const partition = partitions.get(n);
      if (owned && !partition) take(n);
      else if (!owned && partition) release(n, partition);
    }
  }

  function take(n: number): void {
    const partition = new Partition(deps, n);
    partitions.set(n, partition);
    deps.emit({ type: "partition", partition: n, owned: true });
    deps.telemetry.partition?.(true);
    partition.start().catch((error) => {
      deps.emit({ type: "trouble", what: `take partition ${n}`, error });
      partitions.delete(n);
      deps.telemetry.partition?.(false);
      clock.setTimeout(assign, 1_000);
    });
  }

  function release(n: number, partition: Partition): void {
    partitions.delete(n);
    deps.emit({ type: "partition", partition: n, owned: false });
    deps.telemetry.partition?.(false);
    const released = partition.release().finally(() => releases.delete(released));
    releases.add(released);
  }

  const coordinator: Coordinator = {
    id,
    get partitions() {
      return [...partitions.keys()].sort((a, b) => a - b);
    },
    async start() {
      if (state !== "new") throw new NotRunningError("The coordinator", `${state} already`);
      guardGlobals();
      log =
        options.log ??
        (await connectEventLog({ nats: "nats://127.0.0.1:4222", namespace: "default", name: id, ...options, clock }));
      const settings = { ...DEFAULTS, ...options.settings };
      deps = {
        log,
        clock,
        serverClock: new ServerClock(clock),
        id,
        newMailbox: () => `${id}.${(mailboxes++).toString(36)}`,
        workflows,
        hostOf: (workflow, run) => membership.hostOf(workflow, run),
        boundary: options.boundary ?? createBoundary(),
        telemetry: options.telemetry ?? createTelemetry({ namespace: log.subjects.namespace }),
        emit,
        warn,
        forgotten: new ForgottenAsks(options.keepPositions),
        later: new DelayQueue(clock, settings.deadlineAfterMs),
        stranded: new StrandedCommands(log, clock),
        settings,
      };
      state = "running";
      errors = log.onError(warn);
      membership = new Membership(deps, () => {
        assign();
        for (const partition of partitions.values()) partition.onPeers();
      });
      guests = new Guests(deps, (done) => partitions.get(log.subjects.partition(done.run))?.guestDone(done));
      guests.start();
      membership.start();
      observing = deps.telemetry.observe?.(() => observe(deps, coordinator.partitions));
      due = await takeDueTimers(deps);
      // Others answer at once; so partitions do not change hands twice.
      await new Promise<void>((resolve) => {
        settled = clock.setTimeout(resolve, Math.min(250, deps.settings.presenceMs / 4));
      });
      assign();
      return coordinator;
    },
    async stop() {
      if (state !== "running") return;
      state = "stopped";
      clock.clearTimeout(settled);
      observing?.stop();
      for (const [n, partition] of partitions) release(n, partition);
      await Promise.all([...releases, guests.stop(), due.stop()]);
      membership.stop();
      deps.later.stop();
      errors?.stop();
      if (!options.log) await log.close();
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
