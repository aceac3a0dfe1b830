import { DeclaredError } from "@stepstream/contracts";
import { fixed, step } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { heed, Scene } from "./scene.ts";

/** The whole worker on a log in memory, in virtual time; the test plays the coordinator. */

const numbers = { input: z.number(), output: z.number() };
const work = step("work", {
  ...numbers,
  retry: { maxAttempts: 3, backoff: fixed("1s") },
  timeout: { attempt: "5s", total: "1m", queue: "10s" },
  errors: { Declined: z.object({ why: z.string() }) },
  concurrency: 2,
});
const patient = step("patient", { ...numbers, retry: { maxAttempts: 3, backoff: fixed("2m") } });
const beating = step("beating", { ...numbers, heartbeat: "3s", retry: { maxAttempts: 2, backoff: fixed("1s") } });
const shielded = step("shielded", {
  ...numbers,
  retry: { maxAttempts: 20, backoff: fixed("10ms") },
  breaker: { failures: 3, cooldown: "50ms" },
  concurrency: 5,
});

/** A server a millisecond away. */
const slow = { latencyMs: () => 1, staleMs: () => 0, timerLateMs: () => 0, timeoutMs: 2_000, loses: () => false };

function boom(): never {
  throw new RangeError("do not look");
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.stop());

describe("an attempt", () => {
  it("that succeeds is reported, then its command goes", async () => {
    await scene
      .worker()
      .handle(work, async (n) => n + 1)
      .start();
    await scene.command(work, 1, 41);
    await scene.until("completed");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 42"]);
    expect(scene.commands).toBe(0);
  });

  it("has its result stored before its command is acknowledged", async () => {
    const storedAtAck: string[][] = [];
    const onEffect = (process: string, effect: string) => {
      if (process.startsWith("worker") && effect.startsWith("ack")) storedAtAck.push(scene.inbox());
    };
    scene = new Scene({ ...slow, onEffect });
    await scene.passing(
      scene
        .worker()
        .handle(work, async (n) => n)
        .start(),
    );
    await scene.passing(scene.command(work, 1, 7));
    await scene.until("completed");
    expect(storedAtAck).toEqual([["StepCompleted 1/1 7"]]);
  });

  it("that fails is on record and made again after the backoff, with its number", async () => {
    const at: number[] = [];
    await scene
      .worker()
      .handle(work, async (n, ctx) => {
        at.push(scene.clock.now());
        if (ctx.attempt < 3) throw new Error("flaky");
        return n;
      })
      .start();
    await scene.command(work, 1, 7);
    await scene.until("completed");
    expect(scene.inbox()).toEqual(["StepCompleted 1/3 7"]);
    expect(scene.records()).toMatchObject([
      { type: "AttemptFailed", attempt: 1, delayMs: 1_000, error: { message: "flaky" } },
      { type: "AttemptFailed", attempt: 2, delayMs: 1_000 },
    ]);
    expect([at[1]! - at[0]!, at[2]! - at[1]!]).toEqual([1_000, 1_000]);
  });

  it.each<[string, (fail: () => never) => unknown]>([
    ["in a microtask", (fail) => queueMicrotask(fail)],
    ["in the next tick", (fail) => process.nextTick(fail)],
    ["in an immediate", (fail) => setImmediate(fail)],
  ])("that throws %s has failed, and others go on", async (_where, where) => {
    const others = Promise.withResolvers<number>();
    await scene
      .worker()
      .handle(work, async (n, ctx) => {
        if (n === 2) return others.promise;
        if (ctx.attempt === 1) {
          where(() => {
            throw new Error("outside of everything");
          });
          await heed(ctx.signal).catch(() => {});
        }
        return n;
      })
      .start();
    await scene.command(work, 2, 2);
    await scene.command(work, 1, 1);
    await scene.until("completed");
    expect(scene.records()).toMatchObject([{ type: "AttemptFailed", error: { message: "outside of everything" } }]);
    others.resolve(2);
    await scene.until("completed", 2);
    expect(scene.inbox()).toEqual(["StepCompleted 1/2 1", "StepCompleted 2/1 2"]);
  });

  it.each<[string, () => unknown]>([
    [
      "its own cause",
      () =>
        Object.assign(new Error("circle"), {
          get cause() {
            return this;
          },
        }),
    ],
    ["what cannot be read", () => new Proxy(new Error("proxy"), { get: boom, has: boom, getPrototypeOf: boom })],
    ["a retry that throws", () => Object.defineProperty(new Error("getter"), "retry", { get: boom })],
    ["a message that throws", () => Object.defineProperty(new Error("getter"), "message", { get: boom })],
    ["nothing", () => undefined],
  ])("that throws %s fails like any other", async (_what, thrown) => {
    await scene
      .worker()
      .handle(work, async () => {
        throw thrown();
      })
      .start();
    await scene.command(work, 1, 1);
    await scene.until("retrying", 2);
    await scene.until("failed");
    expect(scene.inbox()).toEqual([expect.stringMatching(/^StepFailed 1\/3 /)]);
  });

  it("that was the last fails the step with the original error", async () => {
    await scene
      .worker()
      .handle(work, async () => {
        throw new Error("outer", { cause: new Error("inner") });
      })
      .start();
    await scene.command(work, 1, 7);
    expect(await scene.until("failed")).toMatchObject({ attempt: 3, error: { message: "outer" } });
    expect(scene.inbox()).toEqual(["StepFailed 1/3 ERROR"]);
    expect(scene.records()).toHaveLength(2);
    expect(scene.commands).toBe(0);
  });

  it("that ends with a declared error fails the step at once", async () => {
    await scene
      .worker()
      .handle(work, async (_n, ctx) => ctx.fail("Declined", { why: "no" }))
      .start();
    await scene.command(work, 1, 7);
    const { error } = (await scene.until("failed")) as { error: DeclaredError };
    expect(error).toBeInstanceOf(DeclaredError);
    expect(error.data).toEqual({ why: "no" });
    expect(scene.inbox()).toEqual(["StepFailed 1/1 Declined"]);
  });

  it("with a long wait after it comes back through the inbox, as the next attempt", async () => {
    const attempts: number[] = [];
    await scene
      .worker()
      .handle(patient, async (n, ctx) => {
        attempts.push(ctx.attempt);
        if (ctx.attempt < 3) throw new Error("later");
        return n;
      })
      .start();
    await scene.command(patient, 1, 7);
    await scene.until("retrying");
    expect(scene.inbox()).toEqual(["RetryLater 1/2 120000"]);
    expect(scene.commands).toBe(0);
    await scene.command(patient, 1, 7, { attempt: 2 });
    await scene.until("retrying", 2);
    await scene.command(patient, 1, 7, { attempt: 3 });
    await scene.until("completed");
    expect(attempts).toEqual([1, 2, 3]);
  });

  it("may return nothing where the step's output is nothing", async () => {
    const silent = step("silent", { input: z.void(), output: z.void() });
    await scene
      .worker()
      .handle(silent, async () => {})
      .start();
    await scene.command(silent, 1);
    await scene.until("completed");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1"]);
  });

  it("that returns what does not fit is tried again", async () => {
    await scene
      .worker()
      .handle(work, async (n, ctx) => (ctx.attempt === 1 ? ("x" as never) : n))
      .start();
    await scene.command(work, 1, 7);
    await scene.until("completed");
    expect(scene.records()).toMatchObject([{ error: { code: "INVALID_OUTPUT" } }]);
  });
});

describe("time", () => {
  it("aborts a slow attempt, which counts as failed once its handler has ended", async () => {
    let ended = 0;
    await scene
      .worker()
      .handle(work, async (n, ctx) => {
        if (ctx.attempt > 1) return n;
        return heed(ctx.signal).catch(async (reason) => {
          await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 500));
          ended = scene.clock.now();
          throw reason;
        });
      })
      .start();
    await scene.command(work, 1, 7);
    const from = scene.clock.now();
    await scene.until("retrying");
    expect(ended - from).toBe(5_500);
    expect(scene.records()).toMatchObject([{ error: { code: "TIMEOUT", data: { kind: "attempt" } } }]);
    await scene.until("completed");
  });

  it("leaves a handler behind that ignores its signal, and drops what it does later", async () => {
    let late: (n: number) => void = () => {};
    const ignoring = () => new Promise<number>((resolve) => (late = resolve));
    await scene
      .worker({ cleanUpMs: 2_000 })
      .handle(work, async (n, ctx) => (ctx.attempt === 1 ? ignoring() : n))
      .start();
    await scene.command(work, 1, 7);
    const from = scene.clock.now();
    await scene.until("left-behind");
    expect(scene.clock.now() - from).toBe(7_000);
    await scene.until("completed");
    late(666);
    await scene.clock.pass(1_000);
    expect(scene.inbox()).toEqual(["StepCompleted 1/2 7"]);
  });

  it("fails a step whose total is over, and starts no attempt that would begin after it", async () => {
    const hasty = step("hasty", { ...numbers, retry: { backoff: fixed("8s") }, timeout: { total: "10s" } });
    let calls = 0;
    await scene
      .worker()
      .handle(hasty, async () => {
        calls++;
        throw new Error("flaky");
      })
      .start();
    await scene.command(hasty, 1, 7);
    expect(await scene.until("failed")).toMatchObject({ error: { kind: "total", cause: { message: "flaky" } } });
    expect(calls).toBe(2);
  });

  it("aborts an attempt at the end of the total, for good", async () => {
    const hasty = step("hasty", { ...numbers, timeout: { total: "10s" } });
    await scene
      .worker()
      .handle(hasty, (_n, ctx) => heed(ctx.signal))
      .start();
    await scene.command(hasty, 1, 7);
    const from = scene.clock.now();
    expect(await scene.until("failed")).toMatchObject({ attempt: 1, error: { kind: "total" } });
    expect(scene.clock.now() - from).toBe(10_000);
  });

  it("fails a step that waited too long for a worker, without running it", async () => {
    await scene.command(work, 1, 7);
    await scene.clock.pass(10_000);
    await scene
      .worker()
      .handle(work, async () => expect.unreachable())
      .start();
    expect(await scene.until("failed")).toMatchObject({ error: { kind: "queue" } });
    expect(scene.said()).not.toContain("attempt");
  });

  it("keeps a long attempt in the hands of its worker", async () => {
    const long = step("long", { ...numbers, timeout: { attempt: "10m" } });
    const sleep = (ms: number) => new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, ms));
    const handler = async (n: number) => sleep(300_000).then(() => n);
    await scene.worker().handle(long, handler).start();
    await scene.worker().handle(long, handler).start();
    await scene.command(long, 1, 7);
    await scene.until("completed");
    await scene.clock.pass(60_000);
    expect(scene.said()).toBe("attempt 1, completed 1");
  });
});

describe("a step with a heartbeat", () => {
  it("gives the next attempt the last details", async () => {
    const seen: unknown[] = [];
    await scene
      .worker()
      .handle(beating, async (n, ctx) => {
        seen.push(ctx.heartbeatDetails);
        ctx.heartbeat({ row: ctx.attempt * 10 });
        ctx.heartbeat({ row: ctx.attempt * 10 + 1 });
        if (ctx.attempt === 1) throw new Error("flaky");
        return n;
      })
      .start();
    await scene.command(beating, 1, 7);
    await scene.until("completed");
    expect(seen).toEqual([undefined, { row: 11 }]);
  });

  it("is aborted when it falls silent", async () => {
    await scene
      .worker()
      .handle(beating, async (n, ctx) => {
        if (ctx.attempt === 2) return n;
        await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 2_000));
        ctx.heartbeat();
        return heed(ctx.signal);
      })
      .start();
    await scene.command(beating, 1, 7);
    const from = scene.clock.now();
    await scene.until("retrying");
    expect(scene.clock.now() - from).toBe(5_000);
    expect(scene.records()).toMatchObject([{ error: { code: "TIMEOUT", data: { kind: "heartbeat" } } }]);
    await scene.until("completed");
    expect(scene.said()).toBe("attempt 1, retrying 1, attempt 2, completed 2");
  });

  it("stores details at most twice per time-out, and the last ones in the end", async () => {
    await scene
      .worker()
      .handle(beating, async (n, ctx) => {
        for (let i = 1; i <= 40; i++) {
          ctx.heartbeat(i);
          await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 100));
        }
        await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 2_000));
        return n;
      })
      .start();
    await scene.command(beating, 1, 7);
    await scene.until("completed");
    expect(scene.records().map((record) => record.details)).toEqual([1, 15, 30, 40]);
  });

  it("goes on with its details, and as the same attempt, when its worker is killed", async () => {
    const first = scene.process();
    await scene
      .worker({}, first)
      .handle(beating, async (_n, ctx) => {
        ctx.heartbeat("half-way");
        return new Promise<never>(() => {});
      })
      .start();
    await scene.command(beating, 1, 7);
    await scene.clock.pass(500);
    first.kill();
    const seen: unknown[] = [];
    await scene
      .worker()
      .handle(beating, async (n, ctx) => {
        seen.push(ctx.attempt, ctx.heartbeatDetails);
        return n;
      })
      .start();
    await scene.until("completed");
    expect(seen).toEqual([1, "half-way"]);
  });
});

describe("a cancel", () => {
  it("aborts a running attempt, and is answered when its handler has ended", async () => {
    let reason: unknown;
    await scene
      .worker()
      .handle(work, (_n, ctx) =>
        heed(ctx.signal).catch(async (error) => {
          reason = error;
          throw new Error("while cleaning up");
        }),
      )
      .start();
    await scene.command(work, 1, 7);
    await scene.until("attempt");
    scene.cancel(1);
    await scene.until("cancelled");
    expect(reason).toMatchObject({ code: "STEP_CANCELLED", message: expect.stringContaining("nobody wants it") });
    expect(scene.inbox()).toEqual(["StepCancelled 1/1"]);
    expect(scene.commands).toBe(0);
  });

  it.each(["cancel", "time-out"])(
    "stops for the first reason, and its outcome goes by all of them: %s",
    async (first) => {
      let reason: unknown;
      await scene
        .worker({ cleanUpMs: 20_000 })
        .handle(work, async (n, ctx) => {
          await heed(ctx.signal).catch(() => {});
          await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 10_000));
          reason = ctx.signal.reason;
          return n;
        })
        .start();
      await scene.command(work, 1, 7);
      await scene.until("attempt");
      if (first === "time-out") await scene.clock.pass(6_000);
      scene.cancel(1);
      await scene.until("cancelled");
      expect(reason).toMatchObject({ code: first === "cancel" ? "STEP_CANCELLED" : "TIMEOUT" });
      expect(scene.inbox()).toEqual(["StepCancelled 1/1"]);
    },
  );

  it("that comes too late changes nothing", async () => {
    await scene
      .worker()
      .handle(work, (n, ctx) => heed(ctx.signal).catch(() => n))
      .start();
    await scene.command(work, 1, 7);
    await scene.until("attempt");
    scene.cancel(1);
    await scene.until("completed");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7"]);
  });

  it("refuses a command that is still queued", async () => {
    const release: (() => void)[] = [];
    await scene
      .worker()
      .handle(work, (n) => new Promise<number>((resolve) => release.push(() => resolve(n))))
      .start();
    for (const slot of [1, 2, 3]) await scene.command(work, slot, slot);
    await scene.until("attempt", 2);
    scene.cancel(3, 99);
    for (const done of release) done();
    await scene.until("cancelled");
    expect(scene.inbox().sort()).toEqual(["StepCancelled 3/1", "StepCompleted 1/1 1", "StepCompleted 2/1 2"]);
  });

  it("refuses the next attempt of a slot that waits for it", async () => {
    await scene
      .worker()
      .handle(work, async () => {
        throw new Error("flaky");
      })
      .start();
    await scene.command(work, 1, 7);
    await scene.until("retrying");
    scene.cancel(1);
    await scene.until("cancelled");
    expect(scene.inbox()).toEqual(["StepCancelled 1/2"]);
  });
});

describe("a command that cannot be handled", () => {
  it("is buried with the path of its fault, and its run is told", async () => {
    await scene
      .worker()
      .handle(work, async (n) => n)
      .start();
    const { subjects } = scene.log;
    await scene.log.append(subjects.command("work", "r", 1), '{"v":1,"type":"RunStep","run":5}');
    await scene.command(work, 2, 7);
    await scene.until("completed");
    expect(scene.dead(work)).toMatchObject([{ code: "MALFORMED_MESSAGE", path: "run", seq: 1 }]);
    expect(scene.inbox()).toContain("StepFailed 1/1 MALFORMED_MESSAGE");
    expect(scene.commands).toBe(0);
  });

  it("is buried with the path in its input", async () => {
    await scene
      .worker()
      .handle(work, async (n) => n)
      .start();
    await scene.command(work, 1, { not: "a number" });
    expect(await scene.until("failed")).toMatchObject({ error: { code: "INVALID_INPUT" } });
    expect(scene.dead(work)).toMatchObject([{ code: "INVALID_INPUT" }]);
  });

  it("is buried although its subject says nothing", async () => {
    await scene
      .worker()
      .handle(work, async (n) => n)
      .start();
    await scene.log.append("test.command.work.0.r.x", "{}");
    await scene.until("dead");
    await scene.clock.pass(100);
    expect(scene.commands).toBe(0);
  });
});

describe("a worker", () => {
  it("works on no more commands than its step allows, and holds no others", async () => {
    const release: (() => void)[] = [];
    await scene
      .worker()
      .handle(work, (n) => new Promise<number>((resolve) => release.push(() => resolve(n))))
      .start();
    for (let slot = 1; slot <= 5; slot++) await scene.command(work, slot, slot);
    await scene.clock.pass(1_000);
    expect(scene.said()).toBe("attempt 1, attempt 1");
    const other = scene.worker().handle(work, async (n) => n);
    await other.start();
    await scene.until("completed", 3);
    expect(scene.inbox()).toEqual(["StepCompleted 3/1 3", "StepCompleted 4/1 4", "StepCompleted 5/1 5"]);
    for (const done of release) done();
  });

  it("that was frozen while another did its work reports no outcome", async () => {
    const frozen = scene.process();
    const release: (() => void)[] = [];
    await scene
      .worker({}, frozen)
      .handle(work, (n) => new Promise<number>((resolve) => release.push(() => resolve(n))))
      .start();
    await scene.command(work, 1, 7);
    await scene.until("attempt");
    frozen.pause(30_000);
    await scene
      .worker()
      .handle(work, async () => 8)
      .start();
    await scene.until("completed");
    await scene.clock.pass(25_000);
    release[0]!();
    await scene.until("settled");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 8", "StepStartedTwice 1/1"]);
  });

  it("that is given what another has done looks for its outcome, also where the server forgot a delivery", async () => {
    const ends: ((value: number | Error) => void)[] = [];
    const alone = step("alone", { ...numbers, retry: { maxAttempts: 3, backoff: fixed("1s") }, concurrency: 1 });
    const worker = () =>
      scene.worker().handle(alone, async () => {
        const value = await new Promise<number | Error>((resolve) => ends.push(resolve));
        if (value instanceof Error) throw value;
        return value;
      });
    let losesAcks = false;
    scene = new Scene({ ...slow, loses: (what) => what === "ack" && losesAcks });
    await scene.passing(worker().start());
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(alone, 1, 7));
    await scene.until("attempt");
    // The next delivery is the first again, to another.
    scene.server.restart({ downMs: 5, forgetMs: 100 });
    await scene.clock.pass(100);
    await scene.passing(worker().start());
    await scene.until("attempt", 2);
    losesAcks = true;
    ends[0]!(7);
    await scene.until("completed");
    losesAcks = false;
    ends[1]!(new Error("flaky"));
    await scene.until("retrying");
    await scene.until("settled");
    await scene.clock.pass(1_000);
    expect(scene.said()).toBe("attempt 1, attempt 1, completed 1, retrying 1, settled 1");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7"]);
    expect(scene.commands).toBe(0);
  });

  it("that has just connected does not start what another has done, though the server forgot that delivery", async () => {
    const ends: ((value: number) => void)[] = [];
    scene = new Scene(slow);
    const worker = () =>
      scene.worker().handle(work, (n) => (ends.length > 0 ? n : new Promise<number>((resolve) => ends.push(resolve))));
    const first = worker();
    await scene.passing(first.start());
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(work, 1, 7));
    await scene.until("attempt");
    // The first one is back, and pulls nothing: the next delivery goes to another, and is the first again.
    scene.server.restart({ downMs: 5, forgetMs: 100 });
    const stopped = first.stop({ drainMs: 5_000 });
    await scene.clock.pass(100);
    ends[0]!(7);
    await scene.until("completed");
    await scene.passing(stopped);
    await scene.clock.pass(1_000);
    await scene.passing(worker().start());
    await scene.until("settled");
    await scene.clock.pass(100);
    expect(scene.events.filter(({ type }) => type === "attempt")).toHaveLength(1);
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7"]);
    expect(scene.commands).toBe(0);
  });

  it("asks about a first delivery only where the server may have forgotten one, or it was published before", async () => {
    const reads: string[] = [];
    const onEffect = (process: string, effect: string) => {
      if (process.startsWith("worker") && effect.startsWith("read")) reads.push(effect);
    };
    scene = new Scene({ ...slow, onEffect });
    await scene.passing(scene.command(work, 1, 1));
    await scene.passing(
      scene
        .worker()
        .handle(work, async (n) => n)
        .start(),
    );
    await scene.until("completed");
    expect(reads).toEqual([
      "read test.attempts.1.r.1",
      "read test.inbox.1.r.worker",
      "read test.inbox.1.r.coordinator",
    ]);
    reads.length = 0;
    await scene.clock.pass(60_000);
    await scene.passing(scene.command(work, 2, 2));
    await scene.until("completed", 2);
    expect(reads).toEqual([]);
    const { subjects } = scene.log;
    const done = { v: 1, type: "StepCompleted", slot: 3, step: "work", attempt: 1, after: 0, output: 3 };
    await scene.passing(scene.log.append(subjects.inboxFrom("worker", "r"), JSON.stringify(done)));
    await scene.passing(scene.command(work, 3, 3, { republished: true }));
    await scene.until("settled");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 1", "StepCompleted 2/1 2", "StepCompleted 3/1 3"]);
  });

  it("that was frozen itself does not start again what it is still at", async () => {
    const process = scene.process();
    const release: (() => void)[] = [];
    const long = step("long", numbers);
    await scene
      .worker({}, process)
      .handle(long, (n) => new Promise<number>((resolve) => release.push(() => resolve(n))))
      .start();
    await scene.command(long, 1, 7);
    await scene.until("attempt");
    process.pause(12_000);
    await scene.clock.pass(15_000);
    release[0]!();
    await scene.until("completed");
    await scene.clock.pass(60_000);
    expect(scene.said()).toBe("attempt 1, completed 1");
    expect(scene.commands).toBe(0);
  });

  it("knows its own record again when the answer was lost", async () => {
    let lost = 0;
    scene = new Scene({ ...slow, loses: (what) => what === "answer" && scene.records().length > 0 && lost++ === 0 });
    const worker = scene.worker().handle(work, async (n, ctx) => {
      if (ctx.attempt === 1) throw new Error("flaky");
      return n;
    });
    await scene.passing(worker.start());
    await scene.passing(scene.command(work, 1, 7));
    await scene.until("completed");
    expect(lost).toBeGreaterThan(0);
    expect(scene.said()).toBe("attempt 1, trouble, retrying 1, attempt 2, completed 2");
    expect(scene.records()).toHaveLength(1);
  });

  it("that lost its fence neither acks nor naks", async () => {
    const release: ((error: Error) => void)[] = [];
    await scene
      .worker()
      .handle(work, (_n, ctx) => new Promise<never>((_, reject) => ctx.attempt === 1 && release.push(reject)))
      .start();
    await scene.command(work, 1, 7);
    await scene.until("attempt");
    const { subjects } = scene.log;
    const record = {
      v: 1,
      type: "AttemptFailed",
      slot: 1,
      step: "work",
      attempt: 1,
      error: { name: "E", code: "E", message: "other" },
      delayMs: 1,
    };
    await scene.log.append(subjects.attempts("r", 1), JSON.stringify(record));
    release[0]!(new Error("mine"));
    await scene.until("superseded");
    expect(scene.records()).toHaveLength(1);
    expect(scene.commands).toBe(1);
    await scene.until("attempt", 2);
    expect(scene.said()).toBe("attempt 1, superseded 1, started-twice 1, attempt 2");
  });

  it("that stops lets attempts finish, and leaves nothing behind", async () => {
    const release: (() => void)[] = [];
    const worker = scene.worker().handle(work, (n) => new Promise<number>((resolve) => release.push(() => resolve(n))));
    await worker.start();
    for (const slot of [1, 2, 3]) await scene.command(work, slot, slot);
    await scene.until("attempt", 2);
    const stopped = worker.stop();
    await scene.clock.pass(100);
    for (const done of release) done();
    await scene.clock.pass(100);
    await stopped;
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 1", "StepCompleted 2/1 2"]);
    expect(scene.commands).toBe(1);
    expect(scene.clock.pending).toBe(0);
  });

  it("that stops hands back what does not finish, with its attempt unused", async () => {
    const worker = scene.worker({ drainMs: 1_000 }).handle(work, (_n, ctx) => heed(ctx.signal));
    await worker.start();
    await scene.command(work, 1, 7);
    await scene.until("attempt");
    const stopped = worker.stop();
    const from = scene.clock.now();
    await scene.until("handed-back");
    expect(scene.clock.now() - from).toBe(1_000);
    await stopped;
    await scene
      .worker()
      .handle(work, async (n) => n)
      .start();
    await scene.until("completed");
    expect(scene.inbox()).toEqual(["StepCompleted 1/1 7"]);
    expect(scene.said()).toBe("attempt 1, handed-back 1, attempt 1, completed 1");
  });

  it("that stops does not wait for a handler that ignores its signal", async () => {
    const worker = scene.worker({ drainMs: 1_000, cleanUpMs: 500 }).handle(work, () => new Promise<never>(() => {}));
    await worker.start();
    await scene.command(work, 1, 7);
    await scene.until("attempt");
    const stopped = worker.stop();
    expect(await scene.until("handed-back")).toMatchObject({ attempt: 1 });
    await stopped;
    expect(scene.said()).toBe("attempt 1, left-behind 1, handed-back 1");
  });
});

describe("the wiring of a worker", () => {
  it("refuses what makes no sense", async () => {
    const worker = scene.worker();
    await expect(worker.start()).rejects.toThrow("nothing to do");
    worker.handle(work, async (n) => n);
    expect(() => worker.handle(work, async (n) => n)).toThrow("has a handler");
    const other = step("other", { ...numbers, breaker: { name: "shielded", failures: 9, cooldown: "1s" } });
    worker.handle(shielded, async (n) => n);
    expect(() => worker.handle(other, async (n) => n)).toThrow("other numbers");
    await worker.start();
    await expect(worker.start()).rejects.toThrow("running already");
    await worker.stop();
    await expect(worker.start()).rejects.toThrow("stopped already");
  });

  it("can be stopped before it has started, and twice", async () => {
    const worker = scene.worker().handle(work, async (n) => n);
    const started = worker.start();
    await Promise.all([worker.stop(), worker.stop(), started]);
    await scene.clock.pass(1);
    expect(scene.clock.pending).toBe(0);
  });
});

describe("a circuit breaker that opens at three failures", () => {
  it("opens, probes and closes, uses no attempts while open, and holds up no other step", async () => {
    let healthy = false;
    await scene
      .worker()
      .handle(shielded, async (n) => {
        if (!healthy) throw new Error("down");
        return n;
      })
      .handle(work, async (n) => n)
      .start();
    await scene.command(shielded, 1, 7);
    await scene.until("retrying", 3);
    await scene.clock.pass(5);
    const states = () => scene.events.flatMap((event) => (event.type === "breaker" ? [event.state] : []));
    expect(states()).toEqual(["open"]);
    await scene.command(work, 3, 1);
    await scene.command(shielded, 2, 8);
    await scene.until("completed");
    await scene.clock.pass(1_000);
    expect(scene.records().filter(({ type }) => type === "AttemptFailed")).toHaveLength(3);
    healthy = true;
    // opossum's own timers are real.
    await expect.poll(states).toContain("halfOpen");
    await scene.until("completed", 3);
    expect(states()).toEqual(["open", "halfOpen", "closed"]);
    expect(scene.inbox().sort()).toEqual(["StepCompleted 3/1 1", "StepCompleted 1/4 7", "StepCompleted 2/1 8"].sort());
  });

  it("opens again when the probe fails, and lets one attempt through at a time", async () => {
    let running = 0;
    let most = 0;
    let calls = 0;
    await scene
      .worker()
      .handle(shielded, async () => {
        calls++;
        most = calls > 5 ? Math.max(most, ++running) : 0;
        await Promise.resolve();
        running = Math.max(0, running - 1);
        throw new Error("down");
      })
      .start();
    for (let slot = 1; slot <= 5; slot++) await scene.command(shielded, slot, slot);
    await scene.clock.pass(5);
    const opened = () => scene.events.filter((event) => event.type === "breaker" && event.state === "open").length;
    expect(opened()).toBe(1);
    // opossum's timers are real: it may be half open more than once between two looks.
    await expect
      .poll(async () => {
        await scene.clock.pass(50);
        return opened();
      })
      .toBeGreaterThanOrEqual(4);
    expect(most).toBe(1);
    expect(calls).toBe(5 + opened() - 1);
  });

  it("does not count declared errors", async () => {
    const polite = step("polite", { ...numbers, errors: { No: z.null() }, breaker: { failures: 1, cooldown: "1h" } });
    const worker = scene.worker().handle(polite, async (_n, ctx) => ctx.fail("No", null));
    await worker.start();
    for (let slot = 1; slot <= 5; slot++) await scene.command(polite, slot, slot);
    await scene.until("failed", 5);
    expect(worker.breakers()).toEqual({ polite: "closed" });
  });
});
