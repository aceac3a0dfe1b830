import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  exponential,
  gate,
  isStepError,
  nothing,
  pipeline,
  StepError,
  step,
  WorkflowCancelledError,
  workflow,
} from "@stepstream/sdk";
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { handle } from "../handlers.ts";
import { createTestEnvironment } from "./environment.ts";

const DAY_MS = 86_400_000;

const charge = step("charge", {
  input: z.object({ cents: z.int() }),
  output: z.object({ receipt: z.string() }),
  errors: { CardDeclined: z.object({ code: z.string() }) },
  retry: { maxAttempts: 3, backoff: exponential({ initial: "1s", factor: 2, jitter: "none" }) },
  timeout: { attempt: "30s" },
});
const refund = step("refund", { input: z.object({ receipt: z.string() }), output: z.void() });
const remind = step("remind", { input: z.object({ day: z.int() }), output: z.void() });

const trial = workflow("trial", { input: z.object({ cents: z.int() }), output: z.string() }, async (input, w) => {
  for (let day = 10; day <= 30; day += 10) {
    await w.sleep("10d");
    await w.run(remind, { day });
  }
  const { receipt } = await w.run(charge, input);
  return receipt;
});
const buy = workflow("buy", { input: z.object({ cents: z.int() }), output: z.string() }, async (input, w) => {
  const paid = await w.run(charge, input);
  w.compensate(refund, paid);
  await w.sleep("1h");
  if (input.cents > 1_000) throw new Error("too much");
  return paid.receipt;
});

describe("time in a test environment", () => {
  it("plays a run of thirty days in less than a second of real time", async () => {
    const startedAt = performance.now();
    await using env = await createTestEnvironment({ workflows: [trial] });
    env.fake(remind).returns(undefined);
    env.fake(charge).returns({ receipt: "r-1" });
    const before = env.now();
    const run = await env.start(trial, { cents: 995 }, { id: "trial-1" });
    expect(await run.result()).toBe("r-1");
    expect(env.now() - before).toBeGreaterThanOrEqual(30 * DAY_MS);
    expect(env.now() - before).toBeLessThan(30 * DAY_MS + 1_000);
    expect(env.calls(remind).map(({ input, at }) => [input.day, (at - before) / DAY_MS])).toEqual([
      [10, 10],
      [20, 20],
      [30, 30],
    ]);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it("passes only while somebody waits, and as far as is asked for", async () => {
    await using env = await createTestEnvironment({ workflows: [buy], startAt: new Date("2030-05-01T12:00:00Z") });
    env.fake(charge).returns({ receipt: "r-1" });
    const run = await env.start(buy, { cents: 5 });
    const startedAt = env.now();
    expect(startedAt - Date.UTC(2030, 4, 1, 12)).toBeLessThan(1_000);
    await setImmediatePromise();
    expect(env.now()).toBe(startedAt);
    await env.advance("59m");
    expect(env.now()).toBe(startedAt + 59 * 60_000);
    expect(await run.status()).toMatchObject({ status: "running" });
    await env.advance("2m");
    expect(await run.status()).toMatchObject({ status: "completed" });
  });

  it("passes until a condition holds, or until nothing is left to happen", async () => {
    await using env = await createTestEnvironment({ workflows: [trial], patienceMs: 20 });
    env.fake(remind).returns(undefined);
    env.fake(charge).returns({ receipt: "r-1" });
    const run = await env.start(trial, { cents: 5 });
    await env.runUntil(() => env.calls(remind).length === 2);
    expect(env.calls(remind)).toHaveLength(2);
    await expect(env.runUntil(() => false, { within: "1d" })).rejects.toThrow("86400000 ms of virtual time");
    await env.idle();
    expect(await run.status()).toMatchObject({ status: "completed" });
    await expect(env.runUntil(() => false)).rejects.toThrow("Nothing is left to happen in this test");
  });

  it("waits in real time for handlers that do something real, and not for those that sleep", async () => {
    let slept = 0;
    const steps = [
      handle(charge, async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { receipt: "real" };
      }),
      handle(refund, async (_input, ctx) => {
        const before = ctx.clock.now();
        await ctx.sleep("4m");
        slept = ctx.clock.now() - before;
      }),
    ];
    await using env = await createTestEnvironment({ workflows: [buy], steps });
    const run = await env.start(buy, { cents: 2_000 });
    const before = env.now();
    await expect(run.result()).rejects.toThrow("too much");
    expect(env.calls(charge)).toHaveLength(1);
    expect(slept).toBe(240_000);
    expect(env.now() - before).toBeLessThan(3_600_000 + 240_000 + 1_000);
  });

  it("goes on where a handler does nothing for its real patience: then its time-out comes", async () => {
    const steps = [handle(charge, (_input, ctx) => new Promise((_, no) => onAbort(ctx.signal, no)))];
    await using env = await createTestEnvironment({ workflows: [buy], steps, patienceMs: 20 });
    const run = await env.start(buy, { cents: 5 });
    await expect(run.result()).rejects.toMatchObject({ cause: { code: "TIMEOUT" } });
    expect(env.calls(charge)).toHaveLength(3);
  });

  it("tells one story for one seed", async () => {
    const story = async (seed: number) => {
      await using env = await createTestEnvironment({ workflows: [buy], seed });
      env.fake(charge).fails("down", { times: 2 }).returns({ receipt: "r" }).takes("3s");
      env.crashAfter({ event: "StepScheduled" });
      const run = await env.start(buy, { cents: 5 });
      await run.result();
      return JSON.stringify([run.id, await run.history()], (key, value) => (key === "stack" ? undefined : value));
    };
    const [one, same, other] = [await story(7), await story(7), await story(8)];
    expect(same).toBe(one);
    expect(other).not.toBe(one);
  });

  it("is each environment's own", async () => {
    const play = async (n: number) => {
      await using env = await createTestEnvironment({ workflows: [trial], seed: n });
      env.fake(remind).returns(undefined);
      env.fake(charge).returns({ receipt: `r-${n}` });
      return await (await env.start(trial, { cents: n })).result();
    };
    expect(await Promise.all([1, 2, 3, 4].map(play))).toEqual(["r-1", "r-2", "r-3", "r-4"]);
  });
});

describe("who waits in vain", () => {
  it("is told which step nobody does, and what to do", async () => {
    await using env = await createTestEnvironment({ workflows: [buy] });
    const run = await env.start(buy, { cents: 5 });
    const message = 'Step "charge" of run r has neither a handler nor a fake in this test'.replace(
      " r ",
      ` ${run.id} `,
    );
    await expect(run.result()).rejects.toThrow(message);
    await expect(env.idle()).rejects.toThrow("env.fake(charge, async (input, ctx) => …)");
    env.fake(charge).returns({ receipt: "r" });
    expect(await (await env.start(buy, { cents: 5 })).result()).toBe("r");
  });

  it("is told although the workflow makes nothing of it", async () => {
    const deaf = workflow("deaf", { input: nothing, output: z.string() }, async (_input, w) => {
      await w.allSettled([w.run(refund, { receipt: "r" })]);
      return "fine";
    });
    await using env = await createTestEnvironment({ workflows: [deaf] });
    await expect((await env.start(deaf, undefined)).result()).rejects.toMatchObject({ code: "STEP_UNHANDLED" });
  });

  it("is told why a run is parked", async () => {
    const other = workflow("other", { input: nothing, output: nothing }, async () => {});
    await using env = await createTestEnvironment({ workflows: [buy], patienceMs: 20 });
    const run = await env.start(other, undefined, { id: "r1" });
    await expect(run.result()).rejects.toThrow(/Nothing is left.*Run r1 is parked: .*"other" version 1/s);
    expect(await run.status()).toMatchObject({ status: "parked" });
  });

  it("is told when the environment is closed", async () => {
    const env = await createTestEnvironment({ workflows: [buy] });
    env.fake(charge).hangs();
    const run = await env.start(buy, { cents: 5 });
    const waiting = Promise.allSettled([run.result(), env.advance("1d")]);
    await env.runUntil(() => env.calls(charge).length === 1);
    await env.close();
    expect(await waiting).toMatchObject([
      { status: "rejected", reason: { code: "NOT_RUNNING" } },
      { status: "rejected", reason: { code: "NOT_RUNNING" } },
    ]);
    expect(() => env.client).toThrow("The test environment is closed.");
    await env.close();
  });
});

describe("a fake", () => {
  it("fails as often as it is told, then does what it does always, and is retried by the step's policy", async () => {
    await using env = await createTestEnvironment({ workflows: [buy] });
    env.fake(charge).fails("down", { times: 2 }).returns({ receipt: "r-1" }).takes("10s");
    const run = await env.start(buy, { cents: 5 });
    const startedAt = env.now();
    expect(await run.result()).toBe("r-1");
    expect(env.calls(charge)).toMatchObject([
      { attempt: 1, input: { cents: 5 }, idempotencyKey: `${run.id}/1`, at: startedAt },
      { attempt: 2, idempotencyKey: `${run.id}/1`, at: startedAt + 11_000 },
      { attempt: 3, idempotencyKey: `${run.id}/1`, at: startedAt + 23_000 },
    ]);
  });

  it("fails for good with a declared error", async () => {
    await using env = await createTestEnvironment({ workflows: [buy] });
    env.fake(charge).failsWith("CardDeclined", { code: "limit" });
    const run = await env.start(buy, { cents: 5 });
    await expect(run.result()).rejects.toMatchObject({ step: "charge", cause: { code: "CardDeclined" } });
    expect(env.calls(charge)).toHaveLength(1);
  });

  it("stands before the step's handler, and can be replaced at any time", async () => {
    const steps = [handle(charge, ({ cents }) => ({ receipt: `paid ${cents}` }))];
    await using env = await createTestEnvironment({ workflows: [buy], steps });
    const play = async () => (await env.start(buy, { cents: 5 })).result();
    env.fake(charge).fails("once", { times: 1 });
    expect(await play()).toBe("paid 5");
    expect(env.calls(charge)).toHaveLength(2);
    env.fake(charge, ({ cents }, ctx) => ({ receipt: `fake ${cents} ${ctx.attempt}` }));
    expect(await play()).toBe("fake 5 1");
    env.fake(charge).fails(Object.assign(new Error("never"), { retry: "never" }));
    await expect(play()).rejects.toBeInstanceOf(StepError);
  });

  it("hangs until its attempt is over, by time-out or cancel", async () => {
    await using env = await createTestEnvironment({ workflows: [buy] });
    env.fake(charge).hangs({ times: 1 }).returns({ receipt: "r" });
    const run = await env.start(buy, { cents: 5 });
    expect(await run.result()).toBe("r");
    expect(env.calls(charge)[1]!.at - env.calls(charge)[0]!.at).toBe(31_000);
    env.fake(charge).hangs();
    const cancelled = await env.start(buy, { cents: 5 });
    await env.runUntil(() => env.calls(charge).length === 3);
    await cancelled.cancel({ reason: "enough" });
    await expect(cancelled.result()).rejects.toBeInstanceOf(WorkflowCancelledError);
  });

  it("takes handlers as a worker's module exports them", async () => {
    await using env = await createTestEnvironment({
      workflows: [buy],
      steps: (worker) => worker.handle(charge, () => ({ receipt: "w" })).handle(refund, () => {}),
    });
    expect(await (await env.start(buy, { cents: 5 })).result()).toBe("w");
  });
});

describe("values and definitions in a test environment", () => {
  const due = step("due", {
    input: z.object({ at: z.date() }),
    output: z.object({ next: z.date(), cents: z.bigint() }),
    errors: { Late: z.object({ since: z.date() }) },
    retry: { maxAttempts: 1 },
  });
  const bill = workflow("bill", { input: z.date(), output: z.bigint() }, async (at, w) => {
    try {
      const { next, cents } = await w.run(due, { at });
      return next > at ? cents : 0n;
    } catch (error) {
      if (isStepError(error, due, "Late")) return BigInt(error.cause.data.since.getTime());
      throw error;
    }
  });

  it("travel as they do in production", async () => {
    await using env = await createTestEnvironment({ workflows: [bill] });
    env.fake(due, async ({ at }) => ({ next: new Date(at.getTime() + 1), cents: 5n }));
    expect(await (await env.start(bill, new Date(7))).result()).toBe(5n);
    expect(env.calls(due)).toMatchObject([{ input: { at: new Date(7) } }]);
    env.fake(due).failsWith("Late", { since: new Date(9) });
    expect(await (await env.start(bill, new Date(7))).result()).toBe(9n);
    env.fake(due).returns({ next: new Date(Number.NaN), cents: 1n });
    const failed = (await env.start(bill, new Date(7))).result();
    await expect(failed).rejects.toThrow(
      'The output of step "due" is not valid at next: an invalid Date cannot be sent',
    );
  });

  it("are refused where they are written", async () => {
    await using env = await createTestEnvironment({ workflows: [bill] });
    expect(() => env.fake("due" as never)).toThrow('Invalid step of a fake "due". Use what step(…) returned.');
    expect(() => env.fake(due, 5 as never)).toThrow('Invalid fake of step "due" 5. Use a function.');
    await expect(createTestEnvironment({ workflows: [undefined as never] })).rejects.toThrow(
      "Use what workflow(…) returned.",
    );
    const steps = [{ step: due, handler: undefined as never }];
    await expect(createTestEnvironment({ workflows: [bill], steps })).rejects.toThrow(
      'Invalid handler of step "due" undefined.',
    );
  });

  it("wait for a hundred years", async () => {
    const patient = workflow("patient", { input: nothing, output: z.date() }, async (_input, w) => {
      await w.sleep("36525d");
      return new Date(w.now());
    });
    await using env = await createTestEnvironment({ workflows: [patient] });
    const run = await env.start(patient, undefined);
    await env.advance("36524d");
    expect((await run.status()).status).toBe("running");
    await env.advance("2d");
    expect((await run.result()).getTime()).toBeGreaterThanOrEqual(Date.UTC(2026, 0, 1) + 36_525 * DAY_MS);
  });
});

describe("crashes", () => {
  it.each(["coordinator", "worker"] as const)("of the %s at any time lose nothing", async (process) => {
    await using env = await createTestEnvironment({ workflows: [buy] });
    env.fake(charge).returns({ receipt: "r-1" }).takes("5s");
    const run = await env.start(buy, { cents: 5 });
    await env.advance("2s");
    env.crash(process);
    expect(await run.result()).toBe("r-1");
    expect(env.calls(charge)).toHaveLength(process === "worker" ? 2 : 1);
    await env.replay(run);
  });

  it("come before or after what they are ordered for", async () => {
    const play = async (order: "crashBefore" | "crashAfter") => {
      await using env = await createTestEnvironment({ workflows: [buy] });
      env.fake(charge).returns({ receipt: "r-1" });
      const crash = env[order]({ event: "StepCompleted" });
      expect(crash.at).toBeUndefined();
      expect(await (await env.start(buy, { cents: 5 })).result()).toBe("r-1");
      expect(crash.at).toBeGreaterThan(0);
      return env.calls(charge).length;
    };
    // Before its result was stored, the worker had to do it again; after it, not.
    expect(await play("crashBefore")).toBe(2);
    expect(await play("crashAfter")).toBe(1);
  });

  it("come at the n-th event or effect, to whom is named", async () => {
    await using env = await createTestEnvironment({ workflows: [trial] });
    env.fake(remind).returns(undefined);
    env.fake(charge).returns({ receipt: "r-1" });
    const third = env.crashAfter({ event: "TimerFired", nth: 3, process: "worker" });
    const acked = env.crashAfter({ effect: "ack", nth: 2 });
    const command = env.crashBefore({ effect: /^append .*\.command\.charge\./ });
    const startedAt = env.now();
    expect(await (await env.start(trial, { cents: 5 })).result()).toBe("r-1");
    expect((third.at! - startedAt) / DAY_MS).toBeCloseTo(30, 3);
    expect(acked.at).toBeLessThan(command.at!);
    expect(() => env.crashAfter({})).toThrow(RangeError);
  });

  it("everywhere do not make a saga charge without shipping or refunding", async () => {
    const bank = new Map<string, "charged" | "refunded">();
    const steps = [
      handle(charge, async ({ cents }, ctx) => {
        bank.set(ctx.idempotencyKey, "charged");
        await ctx.sleep(50);
        return { receipt: `${cents}:${ctx.idempotencyKey}` };
      }),
      handle(refund, ({ receipt }) => void bank.set(receipt.split(":")[1]!, "refunded")),
    ];
    await using env = await createTestEnvironment({ workflows: [buy], steps });
    const { crashes } = await env.crashEverywhere(async (env) => {
      bank.clear();
      const run = await env.start(buy, { cents: 2_000 });
      await expect(run.result()).rejects.toThrow("too much");
      expect([...bank.values()]).toEqual(["refunded"]);
      await env.replay(run);
    });
    expect(crashes).toBeGreaterThan(15);
  });

  it("everywhere find a handler that must not run twice, and name the crash", async () => {
    let charged = 0;
    const steps = [
      handle(charge, () => {
        charged++;
        return { receipt: "r" };
      }),
    ];
    await using env = await createTestEnvironment({ workflows: [buy], steps });
    const scenario = async (env: Awaited<ReturnType<typeof createTestEnvironment>>) => {
      charged = 0;
      await (await env.start(buy, { cents: 5 })).result();
      if (charged !== 1) throw new Error(`charged ${charged} times`);
    };
    const error = await env.crashEverywhere(scenario).catch((error) => error);
    expect(error).toMatchObject({ code: "CRASH_BROKE_SCENARIO" });
    expect(error.message).toMatch(
      /^1 of \d+ crashes broke the scenario:\n {2}\d+: before the worker's "append test.inbox/,
    );
    expect(error.message).toContain("charged 2 times");
    const only = error.broken[0].effect;
    await expect(env.crashEverywhere(scenario, { only })).rejects.toThrow("1 of 1 crashes");
    expect(await env.crashEverywhere(scenario, { processes: ["coordinator"] })).toMatchObject({
      crashes: expect.any(Number),
    });
  });
});

function setImmediatePromise(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function onAbort(signal: AbortSignal, reject: (reason: unknown) => void): void {
  signal.addEventListener("abort", () => reject(signal.reason));
}

describe("what the client offers", () => {
  it("works in virtual time: progress, pipelines with faked gates, many runs at once", async () => {
    const release = pipeline("release", { input: z.object({ cents: z.int() }), output: charge.output })
      .gate("lint", { level: 1, command: "exit 1", timeout: "2m" })
      .step("charge", charge, (s) => s.input)
      .build();
    await using env = await createTestEnvironment({ workflows: [release, trial] });
    env.fake(gate, ({ gate, level }) => ({ gate, level, stdout: "", stderr: "", durationMs: 1 }));
    env.fake(charge).returns({ receipt: "r-1" }).takes("20s");
    env.fake(remind).returns(undefined);
    const run = await env.client.start(release, { cents: 5 });
    const seen: string[] = [];
    for await (const { name } of run.progress()) seen.push(name);
    expect(seen.length).toBeGreaterThan(1);
    expect(await run.result()).toEqual({ receipt: "r-1" });
    const runs = await Promise.all(Array.from({ length: 50 }, (_, i) => env.client.start(trial, { cents: i })));
    expect(new Set(await Promise.all(runs.map((run) => run.result())))).toEqual(new Set(["r-1"]));
    expect(await env.client.list({ workflow: trial, status: "completed" })).toHaveLength(50);
  });
});

describe("beside vitest's own fake timers", () => {
  afterEach(() => void vi.useRealTimers());

  it("an environment works as ever: its time is neither the real one nor theirs", async () => {
    vi.useFakeTimers();
    await using env = await createTestEnvironment({ workflows: [buy], patienceMs: 20 });
    env.fake(charge).returns({ receipt: "r" });
    expect(await (await env.start(buy, { cents: 5 })).result()).toBe("r");
    await expect(env.runUntil(() => false)).rejects.toMatchObject({ code: "NOTHING_LEFT" });
  });
});

describe("a run that waits for somebody", () => {
  const approval = workflow(
    "approval",
    {
      input: nothing,
      output: z.string(),
      signals: { approve: z.object({ by: z.string() }) },
      queries: { state: z.string() },
    },
    async (_input, w) => {
      let state = "open";
      w.onQuery("state", () => state);
      const approved = await w.waitFor("approve", { timeout: "7d" });
      state = approved ? `approved by ${approved.by}` : "too late";
      await w.sleep("1d");
      return state;
    },
  );
  const order = workflow("order", { input: nothing, output: z.string() }, async (_input, w) =>
    w.child(approval, undefined),
  );

  it("is signalled and asked by the client, in virtual time", async () => {
    await using env = await createTestEnvironment({ workflows: [approval] });
    const run = await env.start(approval, undefined);
    await env.advance("3d");
    expect(await run.query("state", undefined)).toBe("open");
    await run.signal("approve", { by: "eva" });
    await env.advance("1h");
    env.crash("coordinator");
    expect(await run.query("state", undefined)).toBe("approved by eva");
    expect(await run.result()).toBe("approved by eva");
    await env.replay(run);
    expect(await (await env.start(approval, undefined)).result()).toBe("too late");
  });

  it("is told of as such, where it waits without a time-out and nobody comes", async () => {
    const patient = workflow("patient", { ...shapeOf(approval), signals: approval.signals }, async (_input, w) => {
      return (await w.waitFor("approve")).by;
    });
    await using env = await createTestEnvironment({ workflows: [patient], patienceMs: 20 });
    const run = await env.start(patient, undefined, { id: "p1" });
    await expect(run.result()).rejects.toThrow("Run p1 waits for something from outside.");
    await run.signal("approve", { by: "max" });
    expect(await run.result()).toBe("max");
  });

  it("may be a child, whose parent crashes with it", async () => {
    await using env = await createTestEnvironment({ workflows: [order, approval] });
    const crash = env.crashAfter({ event: "ChildScheduled" });
    const run = await env.start(order, undefined);
    expect(await run.result()).toBe("too late");
    expect(crash.at).toBeDefined();
    await env.replay(run);
  });
});

describe("work that a workflow does not await", () => {
  const forgets = workflow("forgets", { input: z.boolean(), output: z.string() }, async (nap, w) => {
    const paid = w.run(charge, { cents: 1 });
    if (nap) await paid;
    w.sleep("1h");
    return "done";
  });

  it("is in the warnings of the environment, with its place", async () => {
    await using env = await createTestEnvironment({ workflows: [forgets, buy] });
    env.fake(charge).returns({ receipt: "r" });
    expect(await (await env.start(buy, { cents: 1 })).result()).toBe("r");
    expect(env.warnings).toEqual([]);
    const run = await env.start(forgets, true, { id: "f1" });
    expect(await run.result()).toBe("done");
    expect(env.warnings).toEqual([
      expect.stringMatching(
        /^Workflow "forgets" \(run f1\): a timer was not awaited, at .*environment\.test\.ts:\d+:\d+; it was cancelled/,
      ),
    ]);
    await (await env.start(forgets, false, { id: "f2" })).result();
    expect(env.warnings.map((warning) => /\(run (.*?)\): (.*?) was/.exec(warning)!.slice(1))).toEqual([
      ["f1", "a timer"],
      ["f2", "step charge"],
      ["f2", "a timer"],
    ]);
  });

  it('makes the test fail with `unawaited: "throw"`', async () => {
    await using env = await createTestEnvironment({ workflows: [forgets], unawaited: "throw" });
    const run = await env.start(forgets, false, { id: "f1" });
    await expect(run.result()).rejects.toThrow(/step charge was not awaited/);
  });

  it("is named by file, line and column", async () => {
    const file = fileURLToPath(new URL("../../test/forgets.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [file]);
    expect(JSON.parse(stdout)).toEqual({
      result: 1,
      warnings: [
        `Workflow "order" (run o1): step charge was not awaited, at ${file}:9:23; it was cancelled when the workflow function ended.`,
      ],
    });
  });
});

function shapeOf<I, O>({ input, output }: { input: I; output: O }): { input: I; output: O } {
  return { input, output };
}
