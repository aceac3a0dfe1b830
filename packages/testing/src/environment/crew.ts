import { createBoundary, createCoordinator } from "@stepstream/coordinator";
import type { MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import type { AnyStep, AnyWorkflow } from "@stepstream/sdk";
import { createWorker, type Handler, type Worker } from "@stepstream/step-worker";
import { countedMacrotask } from "../clock.ts";
import { withoutBreaker } from "../handlers.ts";
import type { ProcessName } from "./crashes.ts";
import { type OnAppend, WatchedLog } from "./log.ts";

const quiet = () => {};
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };
/** How long a crashed process takes to come back, in milliseconds. */
const REBOOT_MS = 100;
/** A step that says nothing of heartbeats: see the worker's `ackWaitMs`. */
const ACK_WAIT_MS = 10_000;

export interface CrewOptions {
  server: MemoryServer;
  workflows: readonly AnyWorkflow[];
  onAppend: OnAppend;
  /** Makes the handler of a step, for a process. */
  handlerOf: (step: AnyStep, log: MemoryLog) => Handler<any>;
  onParked: (run: string, error: Error) => void;
  onTrouble: (what: string, error: unknown) => void;
  /** Work was still open when a workflow function ended. */
  onForgotten: (forgotten: { run: string; workflow: string; what: string; position: string | undefined }) => void;
  onDeath: (log: MemoryLog) => void;
}

/** The processes of a test: one coordinator and one worker, the real ones. Killed, they come back. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #boundary = createBoundary(countedMacrotask);
  readonly #alive = new Map<ProcessName, MemoryLog>();
  /** The steps that the worker does. `sure`: their definition is known, not only their name. */
  readonly #steps = new Map<string, { step: AnyStep; sure: boolean; worker: Worker | undefined }>();
  readonly #starts = new Set<{ log: MemoryLog }>();
  #closed = false;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Is some process about to come up? */
  get starting(): boolean {
    return this.#starts.size > 0 || this.#alive.size < 2;
  }

  /** The longest silence that some worker takes for a stall. */
  get rhythmMs(): number {
    return Math.max(ACK_WAIT_MS, ...[...this.#steps.values()].map(({ step }) => step.heartbeatMs ?? 0));
  }

  boot(): void {
    this.#boot("coordinator");
    this.#boot("worker");
  }

  /** Kills a process; it comes back a moment later. */
  crash(name: ProcessName): void {
    const log = this.#alive.get(name);
    if (!log) return;
    log.kill();
    this.#alive.delete(name);
    // What was killed while it started never ends.
    for (const start of this.#starts) if (start.log === log) this.#starts.delete(start);
    this.#options.onDeath(log);
    if (name === "worker") for (const served of this.#steps.values()) served.worker = undefined;
    this.#options.server.clock.setTimeout(() => this.#boot(name), REBOOT_MS);
  }

  /** From now on the worker does this step. */
  serve(step: AnyStep, sure: boolean): void {
    const known = this.#steps.get(step.name);
    if (known && (known.sure || !sure)) return;
    // Another definition takes the place of a mere name.
    void known?.worker?.stop({ drainMs: 0 });
    this.#steps.set(step.name, { step: withoutBreaker(step), sure, worker: undefined });
    const log = this.#alive.get("worker");
    if (log) this.#hire(log);
  }

  knows(step: string): boolean {
    return this.#steps.has(step);
  }

  close(): void {
    this.#closed = true;
    for (const log of this.#alive.values()) {
      log.kill();
      this.#options.onDeath(log);
    }
  }

  #boot(name: ProcessName): void {
    if (this.#closed) return;
    const log = new WatchedLog(this.#options.server, name, this.#options.onAppend);
    this.#alive.set(name, log);
    if (name === "worker") return this.#hire(log);
    const { workflows, onParked, onTrouble, onForgotten } = this.#options;
    const coordinator = createCoordinator({
      log,
      clock: log.clock,
      workflows,
      boundary: this.#boundary,
      keepPositions: true,
      onEvent: (event) => {
        if (event.type === "forgotten") onForgotten(event);
        if (event.type === "parked") onParked(event.run, event.error);
        if (event.type === "trouble") onTrouble(event.what, event.error);
        if (event.type === "dead") onTrouble("a dead letter", event.error);
      },
    });
    this.#start(name, log, coordinator.start());
  }

  /** A worker for all steps that have none. */
  #hire(log: MemoryLog): void {
    const { handlerOf, onTrouble } = this.#options;
    const idle = [...this.#steps.values()].filter((served) => !served.worker);
    if (idle.length === 0) return;
    const worker = createWorker({
      log,
      clock: log.clock,
      name: "worker",
      ackWaitMs: ACK_WAIT_MS,
      logger: silent,
      onEvent: (event) => {
        if (event.type === "trouble") onTrouble(event.what, event.error);
      },
    });
    for (const served of idle) {
      served.worker = worker;
      worker.handle(served.step, handlerOf(served.step, log));
    }
    this.#start("worker", log, worker.start());
  }

  #start(name: ProcessName, log: MemoryLog, started: Promise<unknown>): void {
    const start = { log };
    this.#starts.add(start);
    const over = () => this.#starts.delete(start);
    started.then(over, (error) => {
      over();
      this.#options.onTrouble(`start the ${name}`, error);
    });
  }
}
