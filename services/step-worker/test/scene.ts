import { type CancelSlots, checkThoroughly, type RunStep } from "@stepstream/contracts";
import type { Clock } from "@stepstream/event-log";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import type { AnyStep } from "@stepstream/sdk";
import { createWorker, type Worker, type WorkerEvent, type WorkerOptions } from "../src/index.ts";

/** Time that passes when it is told to. Between two timers, all that follows from the first is over. */
export class SceneClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; fn: () => void }[] = [];
  #draw = 0;

  now(): number {
    return this.#now;
  }
  setTimeout(fn: () => void, ms: number): unknown {
    const timer = { at: this.#now + ms, fn };
    const index = this.#timers.findIndex((other) => other.at > timer.at);
    this.#timers.splice(index < 0 ? this.#timers.length : index, 0, timer);
    return timer;
  }
  clearTimeout(handle: unknown): void {
    this.#timers = this.#timers.filter((timer) => timer !== handle);
  }
  /** A sequence, so that names differ. */
  random(): number {
    this.#draw = (this.#draw + 0.37) % 1;
    return this.#draw;
  }
  get pending(): number {
    return this.#timers.length;
  }

  /** Lets `ms` pass, or less if `until` comes true. @returns how much has passed. */
  async pass(ms: number, until: () => boolean = () => false): Promise<number> {
    const from = this.#now;
    await settle();
    while (!until()) {
      const next = this.#timers[0];
      if (!next || next.at > from + ms) {
        this.#now = from + ms;
        break;
      }
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.fn();
      await settle();
    }
    return this.#now - from;
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A log in memory, virtual time, and the test in the coordinator's part. */
export class Scene {
  readonly clock = new SceneClock();
  readonly server: MemoryServer;
  readonly log: MemoryLog;
  readonly events: WorkerEvent[] = [];
  readonly #workers: Worker[] = [];
  #processes = 0;

  constructor(faults?: Faults) {
    checkThoroughly();
    this.server = new MemoryServer({ clock: this.clock, ...(faults ? { faults } : {}) });
    this.log = this.server.connect("coordinator");
  }

  /** A worker in a process of its own, not started. */
  worker(options: WorkerOptions = {}, log = this.process()): Worker {
    const quiet = { info() {}, warn() {}, error() {} };
    const onEvent = (event: WorkerEvent) => void this.events.push(event);
    const worker = createWorker({ log, clock: log.clock, logger: quiet, onEvent, ...options });
    this.#workers.push(worker);
    return worker;
  }
  process(): MemoryLog {
    return this.server.connect(`worker-${++this.#processes}`);
  }

  /** Publishes a command of run `r`, as a coordinator would. */
  async command(step: AnyStep, slot: number, input?: unknown, more: Partial<RunStep> = {}): Promise<void> {
    const { name, retry, timeout, heartbeatMs } = step;
    const command: RunStep = {
      v: 1,
      type: "RunStep",
      run: "r",
      workflow: "w",
      slot,
      step: name,
      input,
      attempt: 1,
      idempotencyKey: `r/${slot}`,
      retry,
      timeout,
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      scheduledAt: this.clock.now(),
      after: 0,
      ...more,
    };
    const { subjects } = this.log;
    await this.log.append(subjects.command(name, "r", slot), JSON.stringify(command), { expectLast: 0 });
  }

  cancel(...slots: number[]): void {
    const hint: CancelSlots = { v: 1, type: "CancelSlots", run: "r", slots, reason: "nobody wants it" };
    this.log.broadcast(this.log.subjects.cancel("r"), JSON.stringify(hint));
  }

  /** Lets time pass until the worker has said so (and no more than ten minutes). */
  async until(type: WorkerEvent["type"], count = 1): Promise<WorkerEvent> {
    const said = () => this.events.filter((event) => event.type === type);
    await this.clock.pass(600_000, () => said().length >= count);
    const event = said()[count - 1];
    if (!event) throw new Error(`no ${count}. "${type}" in ten minutes, but ${this.said()}`);
    return event;
  }

  said(): string {
    return this.events.map((event) => event.type + ("attempt" in event ? ` ${event.attempt}` : "")).join(", ");
  }

  /** What is in the inbox, spelled: `StepCompleted 1/1 {"x":1}`, slot, attempt and what it says. */
  inbox(): string[] {
    return this.#texts(this.log.subjects.inbox("r")).map(({ type, slot, attempt, output, error, delayMs }) =>
      [type, `${slot}/${attempt}`, output && JSON.stringify(output), error?.code, delayMs].filter(Boolean).join(" "),
    );
  }
  /** What is on record of a slot's attempts. */
  records(slot = 1): any[] {
    return this.#texts(this.log.subjects.attempts("r", slot));
  }
  dead(step: AnyStep, slot = 1): any[] {
    return this.#texts(this.log.subjects.dead(step.name, "r", slot));
  }
  /** How many commands are left. */
  get commands(): number {
    return [...this.server.stream("COMMANDS").list(`${this.log.subjects.namespace}.command.>`).values()].length;
  }
  #texts(subject: string): any[] {
    return this.server.read(subject, 1, 0).map(({ text }) => JSON.parse(text));
  }

  /** Lets time pass until it is done: where answers take time. */
  async passing<T>(promise: Promise<T>): Promise<T> {
    await this.#pass(promise);
    return promise;
  }

  async #pass(promise: Promise<unknown>): Promise<void> {
    let over = false;
    const end = () => {
      over = true;
    };
    promise.then(end, end);
    await this.clock.pass(60_000, () => over);
  }

  async stop(): Promise<void> {
    // Workers in processes that were killed never do.
    await this.#pass(Promise.all(this.#workers.map((worker) => worker.stop({ drainMs: 0 }))));
  }
}

/** Rejects when the signal aborts, as a well-behaved handler does. */
export function heed(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
