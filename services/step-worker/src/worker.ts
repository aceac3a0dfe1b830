import { type BreakerChanged, NotRunningError } from "@stepstream/contracts";
import { type Clock, type EventLog, sleep, systemClock } from "@stepstream/event-log";
import { type ConnectOptions, connectEventLog } from "@stepstream/event-log/jetstream";
import { type AnyStep, gate } from "@stepstream/sdk";
import { type GateOptions, runGate } from "./gate.ts";
import { Breaker } from "./shell/breaker.ts";
import { Cancels } from "./shell/cancels.ts";
import type { Deps } from "./shell/deps.ts";
import type { BreakerState, WorkerEvent } from "./shell/events.ts";
import type { Handler } from "./shell/handling.ts";
import { Stalls } from "./shell/stalls.ts";
import { StepQueue } from "./shell/step-queue.ts";
import { noTelemetry, type WorkerTelemetry } from "./shell/telemetry.ts";

export interface WorkerOptions extends Partial<ConnectOptions> {
  /** For people: logs, breakers. Default: `w-` and chance. */
  name?: string;
  /** Instead of `nats` and `namespace`: a log that is connected already, and stays so on `stop()`. */
  log?: EventLog;
  clock?: Clock;
  telemetry?: WorkerTelemetry;
  /** What it does, for logs and tests. */
  onEvent?: (event: WorkerEvent) => void;
  /** How long `stop()` lets running attempts go on, in milliseconds. Default 30,000. */
  drainMs?: number;
  /** How long an aborted handler has to clean up before it is left behind, in milliseconds. Default 5,000. */
  cleanUpMs?: number;
}

export interface Worker {
  readonly name: string;
  /** Adds a step. Before `start()`. @throws {RangeError} The step has a handler already. */
  handle<S extends AnyStep>(step: S, handler: Handler<S>): Worker;
  /** Adds the built-in step that runs gates' commands here, in `cwd`. */
  gates(options?: GateOptions): Worker;
  start(): Promise<Worker>;
  /** Takes nothing more, lets what runs end, gives back what has not ended in time. */
  stop(options?: { drainMs?: number }): Promise<void>;
  /** The state of each circuit breaker, by name. */
  breakers(): Record<string, BreakerState>;
}

/** A step worker: takes commands from the queues of its steps and runs them. Start as many as you like. */
export function createWorker(options: WorkerOptions = {}): Worker {
  const clock = options.clock ?? systemClock;
  const name = options.name ?? `w-${Math.floor(clock.random() * 2 ** 40).toString(36)}`;
  const emit = options.onEvent ?? (() => {});
  const handlers = new Map<string, { step: AnyStep; handler: Handler<AnyStep> }>();
  const breakers = new Map<string, Breaker>();
  const queues: StepQueue[] = [];
  let state: "new" | "running" | "stopped" = "new";
  let givingUp = false;
  let log: EventLog;
  let deps: Deps;

  function breakerOf(step: AnyStep): Breaker | undefined {
    if (!step.breaker) return undefined;
    let breaker = breakers.get(step.breaker.name);
    if (!breaker) {
      breaker = new Breaker(step.breaker, (state) => onBreaker(step.breaker!.name, state));
      breakers.set(step.breaker.name, breaker);
    }
    return breaker;
  }

  function onBreaker(breaker: string, state: BreakerState): void {
    for (const queue of queues) {
      if (queue.step.breaker?.name !== breaker) continue;
      const step = queue.step.name;
      emit({ type: "breaker", step, breaker, state });
      const changed: BreakerChanged = { v: 1, type: "BreakerChanged", worker: name, step, state };
      log.broadcast(log.subjects.breaker(step), JSON.stringify(changed));
      queue.pull();
    }
  }

  const worker: Worker = {
    name,
    handle(step, handler) {
      if (state !== "new") throw new NotRunningError(`Worker ${name}`, `${state}: add steps before start()`);
      if (handlers.has(step.name)) throw new RangeError(`Step "${step.name}" has a handler already.`);
      handlers.set(step.name, { step, handler: handler as unknown as Handler<AnyStep> });
      return worker;
    },
    gates: (options) => worker.handle(gate, runGate(options)),
    async start() {
      if (state !== "new") throw new NotRunningError(`Worker ${name}`, `${state} already`);
      if (handlers.size === 0) throw new RangeError(`Worker ${name} handles no step: call handle() first.`);
      log =
        options.log ??
        (await connectEventLog({ nats: "nats://127.0.0.1:4222", namespace: "default", ...options, name, clock }));
      deps = {
        log,
        clock,
        name,
        emit,
        telemetry: options.telemetry ?? noTelemetry,
        cancels: new Cancels(log, clock),
        stalls: new Stalls(clock),
        cleanUpMs: options.cleanUpMs ?? 5_000,
        stopping: () => givingUp,
      };
      state = "running";
      for (const { step, handler } of handlers.values())
        queues.push(new StepQueue(deps, step, handler, breakerOf(step)));
      await Promise.all(queues.map((queue) => queue.start()));
      return worker;
    },
    async stop({ drainMs = options.drainMs ?? 30_000 } = {}) {
      if (state !== "running") return;
      state = "stopped";
      const drained = Promise.all(queues.map((queue) => queue.drain()));
      let over = false;
      void drained.then(() => {
        over = true;
      });
      await Promise.race([drained, sleep(clock, drainMs)]);
      if (!over) {
        givingUp = true;
        for (const queue of queues) queue.handBack();
        await Promise.race([drained, sleep(clock, deps.cleanUpMs + 1_000)]);
      }
      for (const breaker of breakers.values()) breaker.stop();
      deps.cancels.stop();
      deps.stalls.stop();
      if (!options.log) await log.close();
    },
    breakers: () => Object.fromEntries([...breakers].map(([breaker, { state }]) => [breaker, state])),
  };
  return worker;
}
