/** What workflow code can do wrong, and what its run makes of it. Nothing here may hang, crash, or decide half a turn. */

import { EventEmitter } from "node:events";
import { StalledError } from "@stepstream/contracts";
import { fixed, step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "../../services/coordinator/src/run/play.ts";
import { hostile } from "./hostile.ts";

const add = step("add", { input: z.any(), output: z.any() });
const anything = { input: z.any(), output: z.any() };
const child = workflow("child", anything, async () => 1);

type W = WorkflowContext<{ go: z.ZodAny }, { state: z.ZodAny }, { change: { input: z.ZodAny; output: z.ZodAny } }>;
const code = (run: (w: W, input: any) => Promise<unknown>) =>
  workflow(
    "code",
    {
      ...anything,
      signals: { go: z.any() },
      queries: { state: z.any() },
      updates: { change: { input: z.any(), output: z.any() } },
    },
    (input, w) => run(w as unknown as W, input),
  );

describe("a loop that asks without end in one turn (R6)", () => {
  const endless = async (ask: () => unknown): Promise<never> => {
    for (;;) {
      try {
        await ask();
      } catch {
        // Again.
      }
    }
  };
  const wide: [what: string, ask: (w: W) => unknown][] = [
    ["w.run()", (w) => w.run(add, 1)],
    ["w.sleep()", (w) => w.sleep("200ms")],
    ["w.waitFor()", (w) => w.waitFor("go")],
    ["w.until()", (w) => w.until(() => false)],
    ["w.child()", (w) => w.child(child, 1)],
    ["w.scope()", (w) => w.scope(() => w.sleep(5))],
    ["w.scope() with a time-out", (w) => w.scope(async () => 1, { timeout: "1s" })],
    ["w.uncancellable()", (w) => w.uncancellable(async () => 1)],
    ["w.all()", (w) => w.all([w.sleep(1)])],
    ["w.allSettled()", (w) => w.allSettled([w.run(add, 1)])],
    ["w.race()", (w) => w.race([w.run(add, 1), w.sleep(1)])],
    ["w.any()", (w) => w.any([w.run(add, 1)])],
    ["w.map()", (w) => w.map([1, 2], (n) => w.run(add, n))],
    [
      "w.repeatUntil()",
      (w) =>
        w.repeatUntil(
          async () => false,
          async () => {},
          { maxAttempts: 2, backoff: fixed(1) },
        ),
    ],
    ["w.continueAsNew()", (w) => w.continueAsNew(1)],
  ];
  it.each(wide)("is stopped after a cancel: %s", async (_what, ask) => {
    const definition = code(async (w) => {
      await w.sleep("1h").catch(() => {});
      return endless(() => ask(w));
    });
    const play = new Play(definition);
    await play.start();
    expect(await play.cancel()).toEqual([]);
    const { fault } = play.run;
    expect(fault).toBeInstanceOf(StalledError);
    expect(fault!.message).toMatch(/its workflow (called w\.|decided more than).* in one turn.*turn\.test\.ts:\d+:\d+/);
    expect(play.run.closed).toBe(false);
  });

  it("is stopped without a cancel: run segments that wait for nothing", async () => {
    const play = new Play(code(async (w) => w.continueAsNew(1)));
    await play.start();
    expect(play.run.fault).toBeInstanceOf(StalledError);
    expect(play.run.fault!.message).toMatch(
      /called w\.continueAsNew\(\) more than 100 times in one turn, .* at \S*turn\.test\.ts:\d+:\d+.*\. Each run segment/,
    );
  });

  it.each<[string, (w: W) => unknown]>([
    ["w.all() of nothing", (w) => w.all([])],
    ["w.until() what holds", (w) => w.until(() => true)],
    [
      "w.until() what comes to hold",
      (w) => {
        let held = false;
        const wait = w.until(() => held);
        held = true;
        return wait;
      },
    ],
    ["w.scope() that does nothing", (w) => w.scope(async () => 1)],
    ["w.uncancellable()", (w) => w.uncancellable(async () => 1)],
    ["invalid arguments", (w) => w.run(undefined as never, 1 as never)],
    ["an input that does not fit", (w) => w.run(step("strict", { input: z.string(), output: z.any() }), 1 as never)],
    ["w.progress()", (w) => w.progress({ step: 1, total: 2, name: "x" })],
    ["w.patched()", (w) => w.patched("p")],
    ["w.sideEffect()", (w) => w.sideEffect(() => 1)],
    ["w.compensate()", (w) => w.compensate(add, 1)],
    ["w.onQuery()", (w) => w.onQuery("state", () => 1)],
    ["w.onUpdate()", (w) => w.onUpdate("change", () => 1)],
    ["a race with what is there", (w) => w.race([1, 2])],
  ])("is stopped without a cancel: %s", async (_what, ask) => {
    const play = new Play(code((w) => endless(() => ask(w))));
    expect(await play.start()).toEqual([]);
    expect(play.run.fault?.message).toMatch(/in one turn.*turn\.test\.ts:\d+:\d+/);
  });

  it("without an await anywhere is stopped by a throw", async () => {
    const play = new Play(
      code(async (w) => {
        for (;;) w.progress({ step: 1, total: 2, name: "x" });
      }),
    );
    expect(await play.start()).toEqual([]);
    expect(play.run.fault?.message).toContain("in one turn");
  });

  it.each<[string, (w: W) => unknown]>([
    ["w.run()", (w) => w.run(add, 1)],
    ["w.sleep()", (w) => w.sleep(1)],
    ["w.patched()", (w) => w.patched("p")],
  ])("that does not await what it asks for is stopped by a throw: %s", async (_what, ask) => {
    const play = new Play(
      code(async (w) => {
        for (;;) {
          ask(w);
          await undefined;
        }
      }),
    );
    expect(await play.start()).toEqual([]);
    expect(play.run.fault?.message).toContain("in one turn");
  });

  it("stops at the same place in a replay, and what was decided before stands", async () => {
    let rounds = 0;
    const definition = code(async (w) => {
      await w.run(add, 1);
      await w.sleep(10).catch(() => {});
      for (rounds = 0; ; rounds++) await w.sleep(1).catch(() => {});
    });
    const play = new Play(definition);
    await play.start();
    await play.done(1, add, 1);
    await play.cancel();
    const first = rounds;
    expect(play.spelled).toBe("add1 t2");
    const again = new Play(definition, play.events, "r1", 2);
    for (const x of play.inbox) await again.deliver(x);
    expect(rounds).toBe(first);
    expect(again.run.fault?.message).toBe(play.run.fault?.message);
    expect(again.events).toEqual([]);
  });
});

describe("a wide run", () => {
  it.each<[string, (w: W) => Promise<unknown>]>([
    ["w.map()", (w) => w.map(Array.from({ length: 50_000 }), (_, i) => w.run(add, i), { concurrency: 50_000 })],
    [
      "Promise.all() in scopes",
      (w) => Promise.all(Array.from({ length: 50_000 }, (_, i) => w.scope(() => w.run(add, i)))),
    ],
  ])("may ask for 50,000 steps in one turn, and be cancelled: %s", async (_what, ask) => {
    const play = new Play(code(async (w) => ask(w).catch(() => w.uncancellable(() => w.sleep(1)))));
    expect(await play.start()).toHaveLength(50_000);
    await play.cancel();
    expect(play.run.fault).toBeUndefined();
    expect(play.events.at(-1)).toMatchObject({ type: expect.stringMatching(/TimerStarted|SlotsCancelled/) });
  });

  it("may try 50,000 things after a cancel", async () => {
    const play = new Play(
      code(async (w) => {
        await w.sleep("1h").catch(() => {});
        let refused = 0;
        for (let i = 0; i < 50_000; i++) await w.scope(() => w.run(add, i)).catch(() => refused++);
        if (refused === 50_000) throw w.cancelled.reason;
      }),
    );
    await play.start();
    await play.cancel();
    expect(play.run.fault).toBeUndefined();
    expect(play.spelled).toBe("t1 cancel !1 cancelled");
  });
});

describe("an argument of w that makes no sense", () => {
  const past = -1_000;
  const unknown = (key: string, call: string, meant: string) =>
    new RegExp(
      `^Invalid option "${key}" of ${call.replace(/[().]/g, "\\$&")}\\. Use ".*"\\. Did you mean "${meant}"\\?$`,
    );
  const table: [what: string, call: (w: any) => unknown, says: string | RegExp][] = [
    ["a step that is none", (w) => w.run(undefined, 1), "Invalid step of w.run() undefined. Use what step("],
    ["a step's name", (w) => w.run("add", 1), 'Invalid step of w.run() "add"'],
    ["a step made by hand", (w) => w.run({ kind: "step", name: "a b" }, 1), "Invalid step of w.run()"],
    ["a workflow as a step", (w) => w.run(child, 1), "Invalid step of w.run()"],
    ["options that are none", (w) => w.run(add, 1, 5), "Invalid options of w.run() 5. Use an object."],
    [
      "a total time-out in the past",
      (w) => w.run(add, 1, { timeout: { total: past } }),
      "Invalid timeout.total of w.run()",
    ],
    [
      "a time-out of nothing",
      (w) => w.run(add, 1, { timeout: { attempt: 0 } }),
      "Invalid timeout.attempt of w.run() 0",
    ],
    ["a time-out that is no number", (w) => w.run(add, 1, { timeout: { queue: Number.NaN } }), "Invalid timeout.queue"],
    ["a time-out without a unit", (w) => w.run(add, 1, { timeout: { total: "5" } }), "Invalid timeout.total"],
    ["a list of time-outs", (w) => w.run(add, 1, { timeout: [] }), "Invalid timeout of w.run()"],
    ["no attempts", (w) => w.run(add, 1, { retry: { maxAttempts: 0 } }), "Invalid retry.maxAttempts of w.run() 0"],
    [
      "half an attempt",
      (w) => w.run(add, 1, { retry: { maxAttempts: 2.5 } }),
      "Invalid retry.maxAttempts of w.run() 2.5",
    ],
    ["a backoff that is none", (w) => w.run(add, 1, { retry: { backoff: "1s" } }), "Invalid retry.backoff"],
    ["a negative backoff", (w) => w.run(add, 1, { retry: { backoff: { initialMs: -1 } } }), "Invalid retry.backoff"],
    ["a child that is none", (w) => w.child("child", 1), "Invalid workflow of w.child()"],
    ["a child's id", (w) => w.child(child, 1, { id: "a.b" }), 'Invalid id of w.child() "a.b"'],
    ["a child's id that is a number", (w) => w.child(child, 1, { id: 7 }), "Invalid id of w.child() 7"],
    ["a child's delay", (w) => w.child(child, 1, { delay: past }), "Invalid delay of w.child()"],
    ["a child's time-out", (w) => w.child(child, 1, { timeout: {} }), "Invalid timeout of w.child()"],
    [
      "a child's policy",
      (w) => w.child(child, 1, { onParentClose: "kill" }),
      'Invalid onParentClose of w.child() "kill"',
    ],
    ["a child's trace", (w) => w.child(child, 1, { trace: "other" }), 'Invalid trace of w.child() "other"'],
    ["a negative sleep", (w) => w.sleep(past), "Invalid duration of w.sleep()"],
    ["a sleep that is no duration", (w) => w.sleep(undefined), "Invalid duration of w.sleep() undefined"],
    ["a signal that is no name", (w) => w.waitFor(7), "Invalid signal of w.waitFor() 7"],
    ["a wait's time-out", (w) => w.waitFor("go", { timeout: past }), "Invalid timeout of w.waitFor(go)"],
    ["a condition that is none", (w) => w.until(true), "Invalid condition of w.until() true"],
    ["a condition's time-out", (w) => w.until(() => false, { timeout: "soon" }), "Invalid timeout of w.until()"],
    ["a scope of nothing", (w) => w.scope(), "Invalid function of w.scope() undefined"],
    ["a scope's time-out", (w) => w.scope(async () => 1, { timeout: past }), "Invalid timeout of w.scope()"],
    ["the reason of a cancel", (w) => w.scope(() => w.sleep(1)).cancel(42), "Invalid reason"],
    ["clean-up that is no function", (w) => w.uncancellable(1), "Invalid function of w.uncancellable() 1"],
    ["a group that is none", (w) => w.all(3), "Invalid branches of w.all() 3"],
    ["a race of nothing", (w) => w.race(undefined), "Invalid branches of w.race() undefined"],
    ["a race of no branches", (w) => w.race([]), "Invalid branches of w.race() []"],
    ["a race of no names", (w) => w.race({}), "Invalid branches of w.race() {}"],
    ["a set of promises", (w) => w.all(new Set([w.now()])), "Invalid branches of w.all() {}"],
    ["a map of promises", (w) => w.allSettled(new Map()), "Invalid branches of w.allSettled() {}"],
    ["a generator", (w) => w.any((function* () {})()), "Invalid branches of w.any() {}"],
    ["a promise instead of a list", (w) => w.all(w.sleep(1)), "Invalid branches of w.all() {}"],
    ["a set to race", (w) => w.race(new Set([1])), "Invalid branches of w.race() {}"],
    ["what a failure leads to", (w) => w.all([], { onFailure: "stop" }), 'Invalid onFailure of w.all() "stop"'],
    ["a map of nothing", (w) => w.map(undefined, async () => 1), "Invalid items of w.map() undefined"],
    ["a map without a function", (w) => w.map([1]), "Invalid function of w.map() undefined"],
    ["no concurrency", (w) => w.map([1], async () => 1, { concurrency: 0 }), "Invalid concurrency of w.map() 0"],
    [
      "checks that are none",
      (w) => w.repeatUntil(1, async () => {}, { maxAttempts: 1 }),
      "Invalid check of w.repeatUntil()",
    ],
    [
      "checks without options",
      (w) =>
        w.repeatUntil(
          async () => 1,
          async () => {},
        ),
      "Invalid maxAttempts of w.repeatUntil()",
    ],
    ["a compensation that is none", (w) => w.compensate({}, 1), "Invalid step of w.compensate()"],
    ["no progress", (w) => w.progress(), "Invalid step of w.progress() undefined"],
    [
      "progress without a name",
      (w) => w.progress({ step: 1, total: 0, name: undefined }),
      "Invalid name of w.progress() undefined",
    ],
    [
      "progress without end",
      (w) => w.progress({ step: 1, total: Infinity, name: "x" }),
      "Invalid total of w.progress() Infinity",
    ],
    [
      "progress beyond numbers",
      (w) => w.progress({ step: 1e308, total: 1e-308, name: "x" }),
      "Invalid total of w.progress()",
    ],
    ["a patch without a name", (w) => w.patched(Symbol("p")), "Invalid id of w.patched() Symbol(p)"],
    ["a reason of any length", (w) => w.scope(() => w.sleep(1)).cancel("x".repeat(4_001)), "Invalid reason"],
    ["half a character as a reason", (w) => w.scope(() => w.sleep(1)).cancel("\ud800"), "Invalid reason"],
    ["a query's handler", (w) => w.onQuery("state", 5), "Invalid handler of w.onQuery() 5"],
    ["an update's handler", (w) => w.onUpdate("change", null), "Invalid handler of w.onUpdate() null"],
    [
      "an update's validator",
      (w) => w.onUpdate("change", () => 1, { validate: 1 }),
      "Invalid validate of w.onUpdate() 1",
    ],
    ["an option of a step", (w) => w.run(add, 1, { timeOut: "1s" }), unknown("timeOut", "w.run()", "timeout")],
    [
      "an option of retries",
      (w) => w.run(add, 1, { retry: { maxAttempt: 1 } }),
      'Invalid option "maxAttempt" of retry',
    ],
    [
      "an option of a child",
      (w) => w.child(child, 1, { onParentclose: 1 }),
      unknown("onParentclose", "w.child()", "onParentClose"),
    ],
    ["an option of a wait", (w) => w.waitFor("go", { wher: () => true }), unknown("wher", "w.waitFor()", "where")],
    [
      "an option of a condition",
      (w) => w.until(() => true, { timeOut: 1 }),
      unknown("timeOut", "w.until()", "timeout"),
    ],
    ["an option of a scope", (w) => w.scope(async () => 1, { timeot: 1 }), unknown("timeot", "w.scope()", "timeout")],
    ["an option of a group", (w) => w.all([], { onFail: "await" }), unknown("onFail", "w.all()", "onFailure")],
    [
      "an option of a map",
      (w) => w.map([], async () => 1, { concurency: 1 }),
      unknown("concurency", "w.map()", "concurrency"),
    ],
    [
      "an option of an update",
      (w) => w.onUpdate("change", () => 1, { validator: () => {} }),
      unknown("validator", "w.onUpdate()", "validate"),
    ],
    [
      "an option of checks",
      (w) =>
        w.repeatUntil(
          async () => 1,
          async () => {},
          { maxAttempts: 1, backOff: 1 },
        ),
      unknown("backOff", "w.repeatUntil()", "backoff"),
    ],
    [
      "an option of progress",
      (w) => w.progress({ step: 1, total: 2, nam: "x" }),
      unknown("nam", "w.progress()", "name"),
    ],
    ["a side effect that is none", (w) => w.sideEffect(1), "Invalid function of w.sideEffect() 1"],
  ];
  it.each(table)("is refused at the call, and the workflow may catch that: %s", async (_what, call, says) => {
    const definition = code(async (w) => {
      try {
        await call(w);
      } catch (error) {
        return [(error as Error).name, (error as Error).message];
      }
      return "passed";
    });
    const play = new Play(definition);
    await play.start();
    const end = play.events.at(-1) as any;
    expect(end).toMatchObject({ type: "RunCompleted" });
    expect(end.output).toEqual([
      "RangeError",
      says instanceof RegExp ? expect.stringMatching(says) : expect.stringContaining(says),
    ]);
    expect(end.output[1]).toMatch(/ (Use|Write) .*[.?]$/);
    expect(await play.replayed()).toBeUndefined();
  });
});

describe("a name or an id that w is given", () => {
  const takes: [what: string, call: (w: any, given: string) => unknown][] = [
    ["id of w.patched()", (w, given) => w.patched(given)],
    ["name of w.progress()", (w, given) => w.progress({ step: 1, total: 2, name: given })],
    ["signal of w.waitFor()", (w, given) => w.waitFor(given)],
    ["query of w.onQuery()", (w, given) => w.onQuery(given, () => 1)],
    ["update of w.onUpdate()", (w, given) => w.onUpdate(given, () => 1)],
    ["id of w.child()", (w, given) => w.child(child, 1, { id: given })],
    ["step of w.run()", (w, given) => w.run({ ...add, name: given }, 1)],
    ["step of w.compensate()", (w, given) => w.compensate({ ...add, name: given }, 1)],
    ["workflow of w.child()", (w, given) => w.child({ ...child, name: given }, 1)],
  ];
  const wrong: [what: string, given: string][] = [
    ["that is empty", ""],
    ["that is too long", "x".repeat(257)],
    ["of 10 MB", "x".repeat(10_000_000)],
    ["with a control character", "a\u0000b"],
    ["of two lines", "a\nb"],
    ["of two lines, by a line separator", "a\u2028b"],
    ["with half a character", "a\ud800"],
  ];
  const table = takes.flatMap(([what, call]) => wrong.map(([which, given]) => [which, what, call, given] as const));
  it.each(table)("%s is refused at the call: %s", async (_which, what, call, given) => {
    const play = new Play(
      code(async (w) => {
        try {
          await call(w, given);
        } catch (error) {
          return [(error as Error).name, (error as Error).message];
        }
        return "passed";
      }),
    );
    await play.start();
    expect(play.events).toMatchObject([{ type: "RunCompleted" }]);
    const [kind, message] = (play.events[0] as any).output;
    expect(kind).toBe("RangeError");
    expect(message.startsWith(`Invalid ${what} `)).toBe(true);
    expect(message).toMatch(/ Use .*\.$/);
    expect(message.length).toBeLessThan(300);
    expect(await play.replayed()).toBeUndefined();
  });

  it.each(["x".repeat(256), "Größe prüfen 🙂", '"}],[{"', "__proto__", "a.b c"])(
    "may be a line of any text: %s",
    async (text) => {
      const play = new Play(
        code(async (w) => {
          w.progress({ step: 1, total: 2, name: text });
          return w.patched(text);
        }),
      );
      await play.start();
      expect(play.events).toMatchObject([
        { type: "ProgressReported", name: text },
        { type: "Patched", id: text },
        { type: "RunCompleted", output: true },
      ]);
      expect(await play.replayed()).toBeUndefined();
    },
  );
});

describe("what is odd but can be stored", () => {
  const odd = ["\u2028\u2029", "\ud800", "", "x".repeat(300_000), '"}],[{"', "__proto__", "\u0000"];
  it.each(odd.map((text) => [JSON.stringify(text).slice(0, 30), text]))(
    "comes back as it was: %s",
    async (_shown, text) => {
      const payload = JSON.parse(`{"__proto__":{"polluted":1},"text":${JSON.stringify(text)}}`);
      const definition = code(async (w) => {
        const kept = w.sideEffect(() => ({ text }));
        await w.run(add, payload).catch(() => {});
        void w.child(child, { text }, { onParentClose: "abandon" }).catch(() => {});
        throw Object.assign(new Error(text), { text, kept });
      });
      const play = new Play(definition);
      await play.start();
      await play.done(1, add, payload);
      expect(play.events.at(-1)).toMatchObject({ type: expect.stringMatching(/RunFailed|RunClosing/) });
      expect(play.run.fault).toBeUndefined();
      expect(await play.replayed()).toBeUndefined();
      expect(({} as any).polluted).toBeUndefined();
    },
  );
});

describe("what is thrown", () => {
  it.each(hostile)("fails the run, and in an update only that: %s", async (_what, thrown) => {
    const definition = code(async (w) => {
      w.onUpdate("change", () => {
        throw thrown();
      });
      w.onQuery("state", () => {
        throw thrown();
      });
      await w.waitFor("go");
      throw thrown();
    });
    const play = new Play(definition);
    await play.start();
    expect((await play.update("change", 1)).map(({ type }) => type)).toContain("UpdateFailed");
    expect(() => play.run.query("state", 1)).toThrow(/Query|query/);
    await play.signal("go");
    expect(play.events.at(-1)).toMatchObject({ type: "RunFailed" });
    expect(JSON.stringify(play.events.at(-1)).length).toBeLessThan(200_000);
    expect(await play.replayed()).toBeUndefined();
  });

  it.each<[string, (fail: () => never, w: W) => unknown]>([
    ["a microtask", (fail) => queueMicrotask(fail)],
    ["the next tick", (fail) => process.nextTick(fail)],
    [
      "an abort listener",
      (fail) => {
        const c = new AbortController();
        c.signal.addEventListener("abort", fail);
        c.abort();
      },
    ],
    [
      "an async abort listener",
      (fail) => {
        const c = new AbortController();
        c.signal.addEventListener("abort", async () => fail());
        c.abort();
      },
    ],
    [
      "an event target",
      (fail) => {
        const t = new EventTarget();
        t.addEventListener("x", fail);
        t.dispatchEvent(new Event("x"));
      },
    ],
    [
      "an emitter of rejections",
      (fail) => {
        const e = new EventEmitter({ captureRejections: true });
        e.on("x", async () => fail());
        e.emit("x");
      },
    ],
    // biome-ignore lint/suspicious/noThenProperty: that is the case.
    ["a thenable", async (fail) => void (await Object.defineProperty({}, "then", { get: fail }))],
    [
      "a then that throws late",
      // biome-ignore lint/suspicious/noThenProperty: that is the case.
      (fail) => void Promise.resolve(Object.defineProperty({}, "then", { value: () => queueMicrotask(fail) })),
    ],
  ])("in %s fails the run, and the process goes on", async (_where, where) => {
    const definition = code(async (w) => {
      await where(() => {
        throw new Error("outside of everything");
      }, w);
      await w.sleep("1h");
    });
    const play = new Play(definition);
    await play.start();
    const end = play.events.at(-1) as any;
    expect(end).toMatchObject({ type: "RunFailed", error: { code: "WORKFLOW_FAILED" } });
    expect(JSON.stringify(end)).toMatch(/outside of everything.*turn\.test\.ts:\d+/);
    expect(await play.replayed()).toBeUndefined();
  });
});
