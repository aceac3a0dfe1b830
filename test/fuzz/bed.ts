/** Two coordinators and a worker (the real ones) on the log in memory, in virtual time, with runs that must not notice. */
import { createBoundary, createCoordinator } from "@stepstream/coordinator";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { type AnyWorkflow, type Client, connect, type RunHandle, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { Chance, countedMacrotask, VirtualClock } from "@stepstream/testing";
import { z } from "zod";
import { add, fails, small, undo } from "./program.ts";

const quiet = () => {};
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };

const chain = workflow("chain", { input: z.int(), output: z.int() }, async (n, w) => {
  let total = 0;
  for (let i = 0; i < 4; i++) {
    total += Number(await w.run(add, n));
    await w.sleep("2s");
  }
  return total;
});
const waiter = workflow(
  "waiter",
  { input: z.int(), output: z.int(), signals: { go: z.int() } },
  async (n, w) => n + (await w.waitFor("go")) + Number(await w.child(small, 3)),
);

/** Without it no time passes in a loop of steps or run segments, and the world never gets to what comes after. */
const LATENCY: Faults = {
  latencyMs: () => 5,
  loses: () => false,
  staleMs: () => 0,
  timerLateMs: () => 0,
  timeoutMs: 2_000,
};

export class Bed {
  readonly clock: VirtualClock;
  readonly server: MemoryServer;
  client!: Client;
  readonly events: { type: string; run?: string; error?: unknown; what?: string }[] = [];
  readonly #logs = new Map<string, MemoryLog>();
  readonly #boundary = createBoundary(countedMacrotask);
  readonly #workflows: AnyWorkflow[];

  constructor(seed: number, bad: AnyWorkflow) {
    this.clock = new VirtualClock(new Chance(seed).next);
    this.server = new MemoryServer({ namespace: "fuzz", partitions: 2, clock: this.clock, faults: LATENCY });
    this.#workflows = [bad, chain, waiter, small];
  }

  async start(): Promise<void> {
    await Promise.all([this.boot("c1"), this.boot("c2"), this.#work()]);
    const log = this.server.connect("client");
    this.client = await connect({ log, clock: log.clock });
  }

  async boot(name: string): Promise<void> {
    const log = this.server.connect(name);
    this.#logs.set(name, log);
    await this.soon(
      createCoordinator({
        log,
        clock: log.clock,
        workflows: this.#workflows,
        boundary: this.#boundary,
        settings: { unparkMs: 120_000, graceMs: 2_000 },
        onEvent: (event) => void this.events.push(event as never),
      }).start(),
    );
  }

  kill(name: string): void {
    this.#logs.get(name)?.kill();
  }

  async #work(): Promise<void> {
    const log = this.server.connect("w1");
    this.#logs.set("w1", log);
    const worker = createWorker({ log, clock: log.clock, name: "w1", logger: silent, onEvent: quiet });
    worker.handle(add, (input) => (typeof input === "number" ? input + 1 : 1));
    worker.handle(undo, () => undefined);
    worker.handle(fails, () => {
      throw new Error("always");
    });
    await this.soon(worker.start());
  }

  /** Lets time pass until the promise has settled. @throws {Error} It has not within ten minutes. */
  async soon<T>(promise: Promise<T>, what = "a promise"): Promise<T> {
    let over = false;
    const mark = () => {
      over = true;
    };
    promise.then(mark, mark);
    if (!(await this.clock.run(() => over, 600_000))) throw new Error(`${what} never settled`);
    return promise;
  }

  async pass(ms: number): Promise<void> {
    await this.soon(new Promise<void>((resolve) => void this.clock.setTimeout(resolve, ms)));
  }

  /** Runs that have nothing to do with the program: what each must come to. */
  async bystanders(): Promise<() => Promise<void>> {
    const started: [RunHandle<any>, number][] = [];
    for (const n of [1, 2, 3])
      started.push([await this.soon(this.client.start(chain, n, { id: `chain-${n}` })), 4 * (n + 1)]);
    const waits = await this.soon(this.client.start(waiter, 10, { id: "waits" }));
    started.push([waits, 10 + 5 + 4]);
    return async () => {
      await this.soon(waits.signal("go", 5, { id: "go-1" }), "a bystander's signal");
      for (const [run, expected] of started) {
        const got = await this.soon(run.result(), `bystander ${run.id}`);
        if (got !== expected) throw new Error(`bystander ${run.id} came to ${got}, not ${expected}`);
      }
    };
  }

  parkedFor(run: string): string | undefined {
    return this.server.last(this.server.subjects.parked(run), 0)?.text;
  }

  close(): void {
    for (const log of this.#logs.values()) log.kill();
  }
}
