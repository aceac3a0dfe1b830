/** What workflow code can do wrong, and what its run makes of it. Nothing here may hang, crash, or decide half a turn. */
import { StalledError } from "@stepstream/contracts";
import { fixed, step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "../../services/coordinator/src/run/play.ts";

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
