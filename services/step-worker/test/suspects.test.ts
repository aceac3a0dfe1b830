import { step } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Worker } from "../src/index.ts";
import { Scene } from "./scene.ts";

/** Commands whose deliveries leave no record: workers in virtual time, on a log in memory. Processes that die are killed. */

const numbers = { input: z.number(), output: z.number() };
const job = step("job", { ...numbers, timeout: { attempt: "1d", total: "10d" } });
const other = step("other", { ...numbers, timeout: { attempt: "1d", total: "10d" } });
/** The command with this input ends its process. */
const DEADLY = 13;

type Process = ReturnType<Scene["process"]>;

let scene: Scene;
let lines: { message: string; fields: object }[];
beforeEach(() => {
  scene = new Scene();
  lines = [];
});
afterEach(() => scene.stop());

/** Inputs that are worked on in the process that lives now, and the starts of all. */
class Life {
  process!: Process;
  worker!: Worker;
  readonly running = new Set<number>();
  readonly starts: number[] = [];

  async begin(handle: (n: number) => Promise<number> | number): Promise<void> {
    this.running.clear();
    this.process = scene.process();
    const note = (message: string, fields = {}) => void lines.push({ message, fields });
    const logger = { info() {}, warn: note, error: note };
    this.worker = scene.worker({ logger }, this.process);
    for (const one of [job, other])
      this.worker.handle(one, async (n) => {
        this.starts.push(n);
        this.running.add(n);
        try {
          return await handle(n);
        } finally {
          this.running.delete(n);
        }
      });
    await this.worker.start();
  }

  /** The process dies, and the next comes up once the commands of this one are delivered again. */
  async die(): Promise<void> {
    this.process.kill();
    await scene.clock.pass(10_000);
  }
}

const forever = () => new Promise<never>(() => {});

describe("a command that ends its process", () => {
  it("is given up after three starts alone, and not before", async () => {
    const life = new Life();
    await scene.command(job, 1, DEADLY);
    for (let i = 1; i <= 6; i++) {
      await life.begin(forever);
      await scene.until("attempt", i);
      await life.die();
    }
    await life.begin(() => expect.unreachable());
    expect(await scene.until("failed")).toMatchObject({
      error: { code: "WORKER_LOST", detail: { starts: 3, step: "job", slot: 1 } },
    });
    expect(scene.dead(job)).toMatchObject([{ code: "WORKER_LOST" }]);
    expect(scene.records().map((record) => record.alone)).toEqual([1, 2, 3]);
  });

  it("is found among innocent ones, in other lanes too, which succeed", async () => {
    const life = new Life();
    /** How many were worked on beside the deadly one, each time the process died. */
    const company: number[] = [];
    let isOver = false;
    await scene.command(job, 1, 1);
    await scene.command(job, 2, DEADLY);
    await scene.command(other, 3, 3);
    const outcomes = () => scene.inbox().length;
    let lives = 0;
    while (outcomes() < 3 && lives++ < 20) {
      isOver = false;
      await life.begin(async (n) => {
        // The innocent ones take longer than the deadly one needs.
        const ms = n === DEADLY ? 1_000 : 5_000;
        await new Promise<void>((resolve) => void life.process.clock.setTimeout(resolve, ms));
        if (n !== DEADLY) return n;
        company.push(life.running.size - 1);
        isOver = true;
        return forever();
      });
      await scene.clock.pass(60_000, () => outcomes() === 3 || isOver);
      if (outcomes() < 3) await life.die();
    }
    expect(scene.inbox().sort()).toEqual(["StepCompleted 1/1 1", "StepCompleted 3/1 3", "StepFailed 2/1 WORKER_LOST"]);
    expect(company).toEqual([2, 2, 2, 0, 0, 0]);
    expect(lives).toBe(7);
  });

  it("is named in the log before it is started alone", async () => {
    const life = new Life();
    await scene.command(job, 1, DEADLY);
    for (let i = 1; i <= 4; i++) {
      await life.begin(forever);
      await scene.until("attempt", i);
      await life.die();
    }
    expect(lines).toEqual([
      {
        message: "runs alone in this process, as 3 deliveries left no record: it may be what ends the process",
        fields: { run: "r", step: "job", slot: 1, attempt: 1 },
      },
    ]);
  });
});

/** Three deliveries leave no record. */
async function suspected(life: Life): Promise<void> {
  for (let i = 1; i <= 3; i++) {
    await life.begin(forever);
    await scene.until("attempt", i);
    await life.die();
  }
}

describe("a suspect", () => {
  it("that others have joined is not held responsible", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    await suspected(life);
    await life.begin(forever);
    await scene.until("attempt", 4);
    await scene.command(other, 2, 2);
    await scene.clock.pass(29_000);
    expect([...life.running]).toEqual([1]);
    expect(scene.records().map((record) => record.alone)).toEqual([1]);
    await scene.clock.pass(2_000);
    expect([...life.running]).toEqual([1, 2]);
    expect(scene.records().map((record) => record.alone)).toEqual([1, undefined]);
  });

  it("holds others up for half a minute at first, and twice as long after each start that left no record", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    await suspected(life);
    const heldMs: number[] = [];
    for (let i = 0; i < 3; i++) {
      await life.begin(forever);
      await scene.until("attempt", 4 + i);
      await scene.command(other, 10 + i, 2);
      heldMs.push(await scene.clock.pass(600_000, () => life.running.size === 2));
      life.process.kill();
      await scene.clock.pass(10_000);
      const { subjects } = scene.log;
      await scene.log.remove(subjects.command("other", "r", 10 + i));
    }
    expect(heldMs.map((ms) => Math.round(ms / 1_000))).toEqual([30, 60, 120]);
  });

  it("starts beside others that do not end, after half a minute, and is not held responsible", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    for (let i = 1; i <= 3; i++) {
      await life.begin(forever);
      await scene.until("attempt", i);
      life.process.kill();
      if (i < 3) await scene.clock.pass(10_000);
    }
    // The other one is begun before the suspect is delivered again.
    await scene.command(other, 2, 2);
    await life.begin(forever);
    await scene.until("attempt", 4);
    expect([...life.running]).toEqual([2]);
    const afterMs = await scene.clock.pass(600_000, () => life.running.size === 2);
    expect(Math.round(afterMs / 1_000)).toBe(40);
    expect(scene.records()).toEqual([]);
    expect(lines.map(({ message }) => message)).toEqual([
      "runs beside others, which have not ended within 30 s, although 3 deliveries left no record",
    ]);
  });

  it("that fails is no suspect any more", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    await suspected(life);
    await life.begin((n) => {
      if (life.starts.length < 5) throw new Error("flaky");
      return n;
    });
    await scene.until("completed");
    expect(scene.records()).toMatchObject([{ alone: 1 }, { type: "AttemptFailed", attempt: 1, explained: 4 }]);
    expect(lines.filter(({ message }) => message.startsWith("runs alone"))).toHaveLength(1);
    expect(scene.inbox()).toEqual(["StepCompleted 1/2 1"]);
  });

  it("is given back where its worker stops before it is alone", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    await suspected(life);
    await scene.command(other, 2, 2);
    await life.begin(forever);
    await scene.clock.pass(1_000);
    await scene.passing(life.worker.stop({ drainMs: 0 }));
    expect(scene.inbox()).toEqual([]);
    await life.begin((n) => n);
    await scene.until("completed", 2);
    expect(scene.inbox().sort()).toEqual(["StepCompleted 1/1 1", "StepCompleted 2/1 2"]);
  });
});

describe("a worker that is told to stop, and killed before its attempts have ended", () => {
  it("makes no suspect of them, however often", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    for (let i = 1; i <= 8; i++) {
      await life.begin(forever);
      await scene.until("attempt", i);
      void life.worker.stop({ drainMs: 30_000 });
      await scene.clock.pass(1_000);
      await life.die();
    }
    await life.begin((n) => n);
    await scene.until("completed");
    expect(lines).toEqual([]);
    expect(scene.records()).toHaveLength(8);
    expect(scene.records().at(-1)).toMatchObject({ stopping: true, explained: 8 });
  });

  it("counts no start alone", async () => {
    const life = new Life();
    await scene.command(job, 1, 1);
    await suspected(life);
    for (let i = 4; i <= 9; i++) {
      await life.begin(forever);
      await scene.until("attempt", i);
      void life.worker.stop({ drainMs: 30_000 });
      await scene.clock.pass(1_000);
      await life.die();
    }
    expect(scene.records().at(-1)?.alone).toBeUndefined();
    await life.begin((n) => n);
    await scene.until("completed");
  });
});
