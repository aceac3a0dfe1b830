import type { InboxMessage } from "@stepstream/contracts";
import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const signals = { note: z.string() };
type W = WorkflowContext<typeof signals>;
const flow = (run: (input: any, w: W) => Promise<unknown>) => workflow("flow", { ...any, signals }, run);
const child = workflow("child", any, async () => 1);

describe("a message that a timer has fired, before its time", () => {
  it.each<[string, number, (w: W) => Promise<unknown>, object]>([
    ["of a sleep", 1, (w) => w.sleep("1h"), {}],
    ["of a wait's time-out", 1, (w) => w.waitFor("note", { timeout: "1h" }), {}],
    ["of a condition's time-out", 1, (w) => w.until(() => false, { timeout: "1h" }), {}],
    ["of a scope's time-out", 1, (w) => w.scope(() => w.waitFor("note"), { timeout: "1h" }).catch(() => {}), {}],
    ["of a delayed start", 1, async () => {}, { delayMs: 3_600_000 }],
    ["of the run's time-out", 1, (w) => w.waitFor("note"), { timeoutMs: 3_600_000 }],
    [
      "of a backoff in w.repeatUntil",
      1,
      (w) =>
        w.repeatUntil(
          async () => w.now() > 4_000_000,
          async () => {},
          { maxAttempts: 2, backoff: { initialMs: 3_600_000, factor: 1, maxMs: 3_600_000, jitter: "none" } as any },
        ),
      {},
    ],
  ])("%s is ignored; the timer then fires in its time", async (_what, slot, code, start) => {
    const play = new Play(flow((_n, w) => code(w)));
    await play.start(0, start);
    const before = play.spelled;
    await play.fired(slot, 1_000);
    expect(play.spelled).toBe(before);
    const { fireAt } = play.run.slots.get(slot)!;
    expect(play.run.takeEarly()).toEqual([{ slot, seq: 2, at: expect.any(Number), fireAt }]);
    expect(play.run.closed).toBe(false);
    await play.fired(slot);
    expect(play.run.closed).toBe(true);
    expect(play.run.takeEarly()).toEqual([]);
    expect(await play.replayed()).toBeUndefined();
  });

  it("of a deadline for clean-up does not terminate the run", async () => {
    const play = new Play(flow((_n, w) => w.uncancellable(() => w.run(a, 0))));
    await play.start(0);
    await play.cancel("enough", { cleanupMs: 60_000 });
    await play.fired(2, 1_000);
    expect(play.spelled).toBe("a1 cancel cleanup2");
    await play.fired(2);
    expect(play.spelled).toMatch(/terminated$/);
  });

  it("of a retry that waits is ignored", async () => {
    const play = new Play(flow((_n, w) => w.run(a, 0)));
    await play.start(0);
    await play.send({ v: 1, type: "RetryLater", slot: 1, step: "a", attempt: 2, delayMs: 600_000 });
    await play.fired(1, 5);
    expect(play.spelled).toBe("a1 later1");
    expect(play.run.takeEarly()).toHaveLength(1);
  });
});

describe("a message that is about something else", () => {
  const forged: [string, InboxMessage][] = [
    ["SlotAbandoned for a step that is not cancelled", { v: 1, type: "SlotAbandoned", slot: 1 }],
    ["TimerFired for a step", { v: 1, type: "TimerFired", slot: 1 }],
    ["StepCompleted of another step", { v: 1, type: "StepCompleted", slot: 1, step: "b", attempt: 1 }],
    [
      "StepFailed of another step",
      { v: 1, type: "StepFailed", slot: 1, step: "b", attempt: 1, error: { name: "Error", code: "X", message: "x" } },
    ],
    ["StepCancelled of another step", { v: 1, type: "StepCancelled", slot: 1, step: "b", attempt: 1 }],
    [
      "StepCompleted of an earlier run of this id",
      { v: 1, type: "StepCompleted", slot: 1, step: "a", attempt: 1, after: 77 },
    ],
    ["RetryLater of another step", { v: 1, type: "RetryLater", slot: 1, step: "b", attempt: 2, delayMs: 1 }],
    ["RetryLater of an attempt that is over", { v: 1, type: "RetryLater", slot: 1, step: "a", attempt: 1, delayMs: 1 }],
    ["ChildEnded for a step", { v: 1, type: "ChildEnded", slot: 1, child: "r1-1", outcome: "completed" }],
    ["ChildEnded of another child", { v: 1, type: "ChildEnded", slot: 2, child: "r1-9", outcome: "completed" }],
    ["StepCompleted for a child", { v: 1, type: "StepCompleted", slot: 2, step: "a", attempt: 1 }],
    ["SlotTimedOut for a child", { v: 1, type: "SlotTimedOut", slot: 2, kind: "total" }],
    ["TimerFired for a child", { v: 1, type: "TimerFired", slot: 2 }],
    ["a slot that there is not", { v: 1, type: "StepCompleted", slot: 99, step: "a", attempt: 1 }],
  ];
  it.each(forged)("decides nothing: %s", async (_what, message) => {
    const play = new Play(flow((_n, w) => w.all([w.run(a, 0), w.child(child, 0)])));
    await play.start(0);
    expect(await play.send(message)).toEqual([]);
    await play.done(1, a, "A");
    await play.childEnded(2, "r1-2", "C");
    expect((play.events.at(-1) as any).output).toEqual(["A", "C"]);
  });
});
