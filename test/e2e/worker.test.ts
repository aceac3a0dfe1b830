import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BreakerChanged, type DeclaredError, decode, TimeoutError } from "@stepstream/contracts";
import { fixed, gate, step } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { startWire } from "../support/wire.ts";
import { count, take } from "./programs/steps.ts";
import { WorkerScene } from "./worker-scene.ts";

/** The worker on a real nats-server. The test plays the coordinator; what it awaits are events and messages. */

const numbers = { input: z.number(), output: z.number() };
const work = step("work", {
  ...numbers,
  retry: { maxAttempts: 3, backoff: fixed("50ms") },
  errors: { Declined: z.object({ why: z.string() }) },
  concurrency: 3,
});

let server: TestServer;
let scene: WorkerScene;
let scenes = 0;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  scene = new WorkerScene(server.url, `worker-${Date.now().toString(36)}-${++scenes}`);
  await scene.open();
});
afterEach(() => scene.close());

/** Rejects when the signal aborts. */
const heed = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
/** Promises that the test settles by hand. */
function gates() {
  const waiting: (() => void)[] = [];
  return {
    wait: <T>(value: T) => new Promise<T>((resolve) => void waiting.push(() => resolve(value))),
    open: () => waiting.splice(0).forEach((go) => void go()),
  };
}

describe("an attempt", () => {
  it("that succeeds is reported, then its command is gone", async () => {
    await scene
      .worker()
      .handle(work, async (n) => n + 1)
      .start();
    await scene.command(work, "r", 41);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1, output: 42 });
    await expect.poll(() => scene.left()).toBe(0);
  });

  it("is made again after the backoff, with exact numbers and the same idempotency key", async () => {
    const attempts: unknown[] = [];
    await scene
      .worker()
      .handle(work, async (n, ctx) => {
        attempts.push([ctx.attempt, ctx.idempotencyKey]);
        if (ctx.attempt < 3) throw new Error(`flaky ${ctx.attempt}`);
        return n;
      })
      .start();
    await scene.command(work, "r", 7);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 3 });
    expect(attempts).toEqual([1, 2, 3].map((n) => [n, "r/1"]));
    expect(await scene.records("r")).toMatchObject([
      { type: "AttemptFailed", attempt: 1, delayMs: 50, error: { message: "flaky 1" } },
      { type: "AttemptFailed", attempt: 2, delayMs: 50, error: { message: "flaky 2" } },
    ]);
  });

  it("goes on counting when the command comes back through the inbox", async () => {
    const patient = step("patient", { ...numbers, retry: { maxAttempts: 2, backoff: fixed("2m") } });
    await scene
      .worker()
      .handle(patient, async (n, ctx) => {
        if (ctx.attempt === 1) throw new Error("flaky");
        throw new Error(`last: ${ctx.attempt} of ${n}`);
      })
      .start();
    await scene.command(patient, "r", 2);
    await scene.event("retrying");
    expect(await scene.inbox("r")).toMatchObject([{ type: "RetryLater", attempt: 2, delayMs: 120_000 }]);
    await expect.poll(() => scene.left()).toBe(0);
    await scene.command(patient, "r", 2, { attempt: 2 });
    expect(await scene.outcome("r")).toMatchObject({
      type: "StepFailed",
      attempt: 2,
      error: { message: "last: 2 of 2" },
    });
  });

  it("that ends with a declared error is final, and its data arrive", async () => {
    await scene
      .worker()
      .handle(work, async (_n, ctx) => ctx.fail("Declined", { why: "no" }))
      .start();
    await scene.command(work, "r", 7);
    const { error } = await scene.event("failed");
    expect((error as DeclaredError).data).toEqual({ why: "no" });
    expect(await scene.outcome("r")).toMatchObject({
      attempt: 1,
      error: { code: "Declined", data: { data: { why: "no" } } },
    });
  });
});

describe("time", () => {
  const timed = (timeout: { attempt?: number; total?: number; queue?: number }, retries = 1) =>
    step("timed", { ...numbers, timeout, retry: { maxAttempts: 1 + retries, backoff: fixed("50ms") } });

  it("ends an attempt, which is then made again", async () => {
    const slow = timed({ attempt: 200 });
    let reason: unknown;
    await scene
      .worker()
      .handle(slow, (n, ctx) => {
        if (ctx.attempt === 2) return n;
        return heed(ctx.signal).catch((error) => {
          reason = error;
          throw new Error("cleaned up");
        });
      })
      .start();
    await scene.command(slow, "r", 7);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 2 });
    expect(reason).toBeInstanceOf(TimeoutError);
    expect(await scene.records("r")).toMatchObject([{ error: { code: "TIMEOUT", data: { kind: "attempt" } } }]);
  });

  it("ends a step, for good", async () => {
    const slow = timed({ total: 300 });
    await scene
      .worker()
      .handle(slow, (_n, ctx) => heed(ctx.signal))
      .start();
    await scene.command(slow, "r", 7);
    expect(await scene.outcome("r")).toMatchObject({ attempt: 1, error: { code: "TIMEOUT", data: { kind: "total" } } });
  });

  it("ends a step that nobody picked up", async () => {
    const slow = timed({ queue: 100 });
    await scene.command(slow, "r", 7, { scheduledAt: Date.now() - 100 });
    await scene
      .worker()
      .handle(slow, async () => expect.unreachable())
      .start();
    expect(await scene.outcome("r")).toMatchObject({ error: { code: "TIMEOUT", data: { kind: "queue" } } });
  });

  it("ends an attempt that has fallen silent", async () => {
    const beating = step("beating", { ...numbers, heartbeat: "400ms", retry: { backoff: fixed("50ms") } });
    await scene
      .worker()
      .handle(beating, (n, ctx) => (ctx.attempt === 1 ? heed(ctx.signal) : n))
      .start();
    await scene.command(beating, "r", 7);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 2 });
    expect(await scene.records("r")).toMatchObject([{ error: { data: { kind: "heartbeat" } } }]);
  });

  it("leaves a handler behind that ignores its signal, and frees its place", async () => {
    const single = step("single", { ...numbers, timeout: { attempt: 100 }, concurrency: 1, retry: { maxAttempts: 1 } });
    await scene
      .worker({ cleanUpMs: 200 })
      .handle(single, (n) => (n === 1 ? new Promise<never>(() => {}) : n))
      .start();
    await scene.command(single, "stubborn", 1);
    await scene.command(single, "next", 2);
    await scene.event("left-behind");
    expect(await scene.outcome("stubborn")).toMatchObject({ type: "StepFailed", error: { code: "TIMEOUT" } });
    expect(await scene.outcome("next")).toMatchObject({ type: "StepCompleted", output: 2 });
  });
});

describe("a worker process", () => {
  it("that is killed leaves its heartbeat's details to the next, and no attempt is used up", async () => {
    const first = await scene.program();
    await scene.command(count, "r", 60);
    const last = async () => (await scene.records("r")).at(-1)?.details as { counted: number; by: number } | undefined;
    await expect.poll(async () => (await last())?.counted ?? 0, { timeout: 10_000 }).toBeGreaterThan(5);
    await first.end("SIGKILL");
    const details = (await last())!;
    expect(details.by).toBe(first.child.pid);
    await scene.program();
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1, output: details.counted });
  });

  it("that gets SIGTERM finishes what it has, takes no more, and ends with 0", async () => {
    const program = await scene.program();
    for (const slot of [1, 2, 3, 4]) await scene.command(take, "r", 500, { slot });
    await program.says("taking 500");
    await expect.poll(() => program.lines.filter((line) => line === "taking 500").length).toBe(3);
    expect(await program.end("SIGTERM")).toBe(0);
    expect((await scene.inbox("r")).map((message) => message.type)).toEqual(Array(3).fill("StepCompleted"));
    expect(await scene.left()).toBe(1);
    await scene.program("list.ts");
    expect(await scene.outcome("r", 4)).toMatchObject({ attempt: 1, output: 501 });
  });

  it("says how it is used", () => {
    const main = fileURLToPath(new URL("../../services/step-worker/src/main.ts", import.meta.url));
    const run = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
    expect(run("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("handlers") });
    expect(run()).toMatchObject({ status: 2 });
  });
});

describe("a cancel", () => {
  it("aborts a running attempt, and is answered once its handler has ended", async () => {
    await scene
      .worker()
      .handle(work, (_n, ctx) => heed(ctx.signal))
      .start();
    await scene.command(work, "r", 7);
    await scene.event("attempt");
    scene.cancel("r", 1);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCancelled", attempt: 1 });
    await expect.poll(() => scene.left()).toBe(0);
  });

  it("refuses a command that is still queued", async () => {
    const { wait, open } = gates();
    await scene.worker().handle(work, wait).start();
    for (const slot of [1, 2, 3, 4]) await scene.command(work, "r", slot, { slot });
    await scene.event("attempt", 3);
    scene.cancel("r", 4);
    await scene.left(); // A round trip: the cancel is on its way to the worker.
    open();
    expect(await scene.outcome("r", 4)).toMatchObject({ type: "StepCancelled", attempt: 1 });
    expect(scene.events.filter((event) => event.type === "attempt")).toHaveLength(3);
  });
});

describe("a worker that stops", () => {
  it("hands back what does not finish in time, with its attempt unused", async () => {
    const worker = await scene
      .worker()
      .handle(work, (_n, ctx) => heed(ctx.signal))
      .start();
    await scene.command(work, "r", 7);
    await scene.event("attempt");
    await worker.stop({ drainMs: 100 });
    await scene
      .worker()
      .handle(work, async (n) => n)
      .start();
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1 });
  });
});

describe("concurrency", () => {
  it("is bounded in each worker, and a worker holds no commands it cannot run", async () => {
    const { wait, open } = gates();
    await scene.worker().handle(work, wait).start();
    for (let slot = 1; slot <= 8; slot++) await scene.command(work, "r", slot, { slot });
    await scene.event("attempt", 3);
    const other = scene.worker().handle(work, async (n) => n);
    await other.start();
    await scene.event("completed", 5);
    expect((await scene.inbox("r")).map((message) => "slot" in message && message.slot).sort()).toEqual([
      4, 5, 6, 7, 8,
    ]);
    open();
    await scene.event("completed", 8);
  });
});

describe("a circuit breaker", () => {
  it("opens, probes and recovers alone, uses no attempts while open, and holds up no other step", async () => {
    const shielded = step("shielded", {
      ...numbers,
      retry: { maxAttempts: 10, backoff: fixed("10ms") },
      breaker: { failures: 3, cooldown: "300ms" },
      concurrency: 2,
    });
    const told: string[] = [];
    scene.log.listen(scene.log.subjects.breaker("shielded"), (text, subject) => {
      told.push(decode(BreakerChanged, text, subject).state);
    });
    let healthy = false;
    const calls: number[] = [];
    const worker = scene
      .worker()
      .handle(shielded, async (n) => {
        calls.push(Date.now());
        if (!healthy) throw new Error("down");
        return n;
      })
      .handle(work, async (n) => n);
    await worker.start();
    await scene.command(shielded, "a", 1);
    expect(await scene.event("breaker")).toMatchObject({ breaker: "shielded", state: "open" });
    expect(worker.breakers()).toEqual({ shielded: "open" });
    expect(calls).toHaveLength(3);
    await scene.command(shielded, "b", 2);
    await scene.command(work, "c", 3);
    expect(await scene.outcome("c")).toMatchObject({ type: "StepCompleted" });
    expect(calls).toHaveLength(3);
    // One probe, which fails.
    await scene.event("breaker", 3);
    expect(calls).toHaveLength(4);
    expect(calls[3]! - calls[2]!).toBeGreaterThanOrEqual(290);
    healthy = true;
    expect(await scene.outcome("a")).toMatchObject({ type: "StepCompleted" });
    expect(await scene.outcome("b")).toMatchObject({ type: "StepCompleted" });
    const failed = [...(await scene.records("a")), ...(await scene.records("b"))].filter(
      (r) => r.type === "AttemptFailed",
    );
    expect(failed).toHaveLength(4);
    await expect.poll(() => told).toEqual(["open", "halfOpen", "open", "halfOpen", "closed"]);
  });
});

describe("a poison message", () => {
  it("goes to the dead letters with the path of its fault, and blocks nothing", async () => {
    await scene
      .worker()
      .handle(work, async (n) => n)
      .start();
    const { subjects } = scene.log;
    await scene.log.append(subjects.command("work", "poison", 1), "not JSON");
    await scene.log.append(subjects.command("work", "future", 1), '{"v":2,"type":"RunStep"}');
    await scene.log.append(`${scene.bus.namespace}.command.work.nonsense`, "{}");
    await scene.command(work, "misfit", { n: 1 });
    await scene.command(work, "fine", 7);
    expect(await scene.outcome("fine")).toMatchObject({ type: "StepCompleted" });
    expect(await scene.outcome("poison")).toMatchObject({ type: "StepFailed", error: { code: "MALFORMED_MESSAGE" } });
    expect(await scene.outcome("future")).toMatchObject({ type: "StepFailed", error: { code: "MALFORMED_MESSAGE" } });
    expect(await scene.outcome("misfit")).toMatchObject({ type: "StepFailed", error: { code: "INVALID_INPUT" } });
    expect(await scene.dead("work", "poison")).toMatchObject({ code: "MALFORMED_MESSAGE", text: "not JSON" });
    expect(await scene.dead("work", "future")).toMatchObject({ path: "v" });
    await scene.event("dead", 4);
    await expect.poll(() => scene.left()).toBe(0);
  });
});

describe("a connection that is cut", () => {
  it("costs no result: it is stored when the connection is back, once", async () => {
    const wire = await startWire(server.url);
    const { wait, open } = gates();
    await scene.worker({ nats: wire.url }).handle(work, wait).start();
    await scene.command(work, "r", 7);
    await scene.event("attempt");
    wire.cut();
    open();
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1 });
    await expect.poll(() => scene.left(), { timeout: 20_000 }).toBe(0);
    expect(await scene.inbox("r")).toHaveLength(1);
    await wire.stop();
  });
});

describe("a gate", () => {
  const run = (command: string, more: object = {}) =>
    scene.command(gate, "r", { gate: "g", level: 1, command, timeoutMs: 10_000, ...more });

  it("passes with exit code 0, and keeps what was printed", async () => {
    await scene.worker().gates().start();
    await run("echo out; echo err >&2");
    expect(await scene.outcome("r")).toMatchObject({
      type: "StepCompleted",
      output: { gate: "g", stdout: "out\n", stderr: "err\n" },
    });
  });

  it("does not pass with another, and is not tried again", async () => {
    await scene.worker().gates().start();
    await run("echo no >&2; exit 3");
    const data = { gate: "g", level: 1, exitCode: 3, stderr: "no\n" };
    expect(await scene.outcome("r")).toMatchObject({ attempt: 1, error: { code: "VALIDATION_FAILED", data } });
  });

  it("is killed with all it started at its time-out, and keeps what was printed by then", async () => {
    await scene.worker().gates().start();
    await run("echo begun; sleep 60 & wait", { timeoutMs: 300 });
    // It is over when the last of its processes has let go of its output.
    const error = { message: expect.stringContaining("300 ms"), data: { stdout: "begun\n" } };
    expect(await scene.outcome("r")).toMatchObject({ type: "StepFailed", error });
  });

  it("is killed when its run is cancelled", async () => {
    await scene.worker().gates().start();
    await run("sleep 60");
    await scene.event("attempt");
    scene.cancel("r", 1);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCancelled" });
  });
});
