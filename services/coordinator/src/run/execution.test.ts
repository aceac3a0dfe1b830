import type { RunEvent, StepError } from "@stepstream/contracts";
import { fromFailure, NonDeterminismError, StalledError } from "@stepstream/contracts";
import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const b = step("b", any);
const c = step("c", any);
const flow = (run: (input: any, w: WorkflowContext) => Promise<unknown>) => workflow("flow", any, run);
const last = (play: Play) => play.events.at(-1) as any;

describe("a run", () => {
  it("asks for one step after the other and completes", async () => {
    const play = new Play(flow(async (n, w) => (await w.run(b, await w.run(a, n))) + 1));
    await play.start(1);
    await play.done(1, a, 10);
    await play.done(2, b, 20);
    expect(play.spelled).toBe("a1 b2 completed");
    expect(last(play).output).toBe(21);
  });

  it("ends as failed with the step, its input, its attempt and its cause", async () => {
    const play = new Play(flow((n, w) => w.run(a, { n })));
    await play.start(7);
    await play.failed(1, a, "no disk", 3);
    expect(play.spelled).toBe("a1 failed");
    const error = fromFailure(last(play).error) as StepError;
    expect(error).toMatchObject({ code: "STEP_FAILED", run: "r1", step: "a", attempt: 3, input: { n: 7 } });
    expect((error.cause as Error).message).toBe("no disk");
  });

  it("gives a slot one outcome, whatever comes later (R1)", async () => {
    const play = new Play(flow(async (_n, w) => [await w.run(a, 0), await w.run(b, 0)]));
    await play.start(0);
    await play.done(1, a, "first");
    await play.done(1, a, "second");
    await play.failed(1, a);
    await play.done(2, a, "wrong step");
    await play.done(2, b, "b");
    await play.done(2, b, "late");
    expect(last(play).output).toEqual(["first", "b"]);
  });

  it("fits a history of before values were tagged", async () => {
    const input = { at: new Date(5), n: Number.NaN, kind: { $type: "mine" } };
    // The dates of workflow code are dates as well.
    const code = (more: object) => flow((_n, w) => w.run(a, { ...input, at: new Date(input.at), ...more }));
    const play = new Play(code({}));
    await play.start(0);
    expect((last(play) as any).input.at).toEqual({ $type: "Date", value: "1970-01-01T00:00:00.005Z" });
    (last(play) as any).input = JSON.parse(JSON.stringify(input));
    await play.done(1, a, 1);
    expect(await play.replayed()).toBeUndefined();
    expect(await play.replayed(code({ at: new Date(6) }))).toBeInstanceOf(NonDeterminismError);
  });

  it("takes the input as it was when the step was asked for", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const input = { n: 1 };
        const done = w.run(a, input);
        input.n = 2;
        await done;
      }),
    );
    const [scheduled] = await play.start(0);
    expect((scheduled as any).input).toEqual({ n: 1 });
  });

  it("fails where an input does not fit, and says where", async () => {
    const strict = step("strict", {
      input: z.object({ lines: z.array(z.object({ cents: z.int() })) }),
      output: z.any(),
    });
    const play = new Play(flow((_n, w) => w.run(strict, { lines: [{ cents: 1 }, { cents: 1.5 }] })));
    await play.start(0);
    expect(last(play).error.cause).toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("lines[1].cents"),
    });
  });
});

describe("several at once", () => {
  it.each<[string, (w: WorkflowContext) => Promise<unknown>, unknown]>([
    ["w.all of a list", (w) => w.all([w.run(a, 0), w.run(b, 0)]), ["A", "B"]],
    ["w.all of a record", (w) => w.all({ x: w.run(a, 0), y: w.run(b, 0) }), { x: "A", y: "B" }],
    ["Promise.all", (w) => Promise.all([w.run(a, 0), w.run(b, 0)]), ["A", "B"]],
    ["w.race", (w) => w.race([w.run(a, 0), w.run(b, 0)]), "B"],
    ["Promise.race", (w) => Promise.race([w.run(a, 0), w.run(b, 0)]), "B"],
    ["w.any", (w) => w.any([w.run(a, 0), w.run(b, 0)]), "B"],
  ])("%s resolves in the order of the stream", async (_name, run, output) => {
    const play = new Play(flow((_n, w) => run(w)));
    await play.start(0);
    await play.done(2, b, "B");
    await play.done(1, a, "A");
    expect(last(play)).toMatchObject({ type: "RunCompleted", output });
  });

  it("w.all cancels the others when one fails", async () => {
    const play = new Play(flow((_n, w) => w.all([w.run(a, 0), w.run(b, 0), w.run(c, 0)])));
    await play.start(0);
    await play.failed(2, b);
    await play.cancelled(1, a);
    await play.done(3, c);
    expect(play.spelled).toBe("a1 b2 c3 !1,3 closing:failed failed");
  });

  it("w.all waits for the others when asked to", async () => {
    const play = new Play(flow((_n, w) => w.all([w.run(a, 0), w.run(b, 0)], { onFailure: "await" })));
    await play.start(0);
    await play.failed(2, b);
    expect(play.spelled).toBe("a1 b2");
    await play.done(1, a);
    expect(play.spelled).toBe("a1 b2 failed");
  });

  it("w.allSettled tells every outcome", async () => {
    const play = new Play(
      flow(async (_n, w) => (await w.allSettled([w.run(a, 0), w.run(b, 0)])).map((result) => result.status)),
    );
    await play.start(0);
    await play.failed(1, a);
    await play.done(2, b);
    expect(last(play).output).toEqual(["rejected", "fulfilled"]);
  });

  it("w.race cancels those that lost", async () => {
    const play = new Play(flow((_n, w) => w.race([w.run(a, 0), w.sleep("1h")])));
    await play.start(0);
    await play.done(1, a, "A");
    expect(play.spelled).toBe("a1 t2 !2 completed");
  });

  it("w.map keeps the order of the items and its bound", async () => {
    const play = new Play(flow((_n, w) => w.map([1, 2, 3, 4], (n) => w.run(a, n), { concurrency: 2 })));
    await play.start(0);
    expect(play.spelled).toBe("a1 a2");
    await play.done(2, a, "second");
    await play.done(3, a, "third");
    await play.done(1, a, "first");
    await play.done(4, a, "fourth");
    expect(last(play).output).toEqual(["first", "second", "third", "fourth"]);
  });

  it("w.map starts nothing more after a failure", async () => {
    const play = new Play(flow((_n, w) => w.map([1, 2, 3, 4], (n) => w.run(a, n), { concurrency: 2 })));
    await play.start(0);
    await play.failed(1, a);
    await play.cancelled(2, a);
    expect(play.spelled).toBe("a1 a2 !2 closing:failed failed");
  });
});

describe("time and chance", () => {
  it("w.sleep ends with its timer, and w.now is the time of the message", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const before = w.now();
        await w.sleep("1m");
        return w.now() - before;
      }),
    );
    await play.start(0);
    await play.fired(1, 60_005);
    expect(last(play).output).toBe(60_005);
  });

  it("native time and chance answer as the run's own", async () => {
    const play = new Play(
      flow(async (_n, w) => [
        Date.now() === w.now(),
        new Date().toISOString() === new Date(w.now()).toISOString(),
        new Date(5).getTime(),
        new Date() instanceof Date,
        Math.random() < 1,
        crypto.randomUUID().length,
      ]),
    );
    await play.start(0);
    expect(last(play).output).toEqual([true, true, 5, true, true, 36]);
    expect(Math.abs(Date.now() - 1_000_000)).toBeGreaterThan(1_000_000);
  });

  it.each<[string, () => unknown]>([
    ["setTimeout()", () => setTimeout(() => {}, 1)],
    ["setInterval()", () => setInterval(() => {}, 1)],
    ["fetch()", () => fetch("http://localhost:1")],
    ["getRandomValues()", () => crypto.getRandomValues(new Uint8Array(1))],
    ["timeout()", () => AbortSignal.timeout(1)],
  ])("%s is refused, with what to use instead", async (name, call) => {
    const play = new Play(flow(async () => void (await call())));
    await play.start(0);
    expect(last(play).error.cause).toMatchObject({
      code: "FORBIDDEN_IN_WORKFLOW",
      message: expect.stringContaining(name),
    });
    expect(last(play).error.cause.message).toContain("instead");
  });
});

describe("w.repeatUntil", () => {
  const fixing = (maxAttempts: number) =>
    flow((_n, w) =>
      w.repeatUntil(
        () => w.run(a, 0),
        () => w.run(b, 0),
        { maxAttempts },
      ),
    );

  it("checks, waits, fixes, checks again", async () => {
    const play = new Play(fixing(3));
    await play.start(0);
    await play.failed(1, a);
    await play.fired(2);
    await play.done(3, b);
    await play.done(4, a, "clean");
    expect(play.spelled).toBe("a1 t2 b3 a4 completed");
    expect(last(play).output).toBe("clean");
  });

  it("gives up with what the last check threw", async () => {
    const play = new Play(fixing(1));
    await play.start(0);
    await play.failed(1, a, "still dirty");
    expect(play.spelled).toBe("a1 failed");
    expect(last(play).error.cause.message).toBe("still dirty");
  });
});

describe("cancel and compensation", () => {
  const saga = flow(async (_n, w) => {
    await w.run(a, 1);
    w.compensate(a, "undo 1");
    await w.run(b, 2);
    w.compensate(b, "undo 2");
    await w.all([w.run(c, 3), w.run(c, 4)]);
  });

  it("compensates last first, one at a time, only when all has settled", async () => {
    const play = new Play(saga);
    await play.start(0);
    await play.done(1, a);
    await play.done(2, b);
    await play.failed(3, c);
    expect(play.spelled).toBe("a1 b2 c3 c4 !4 closing:failed");
    await play.cancelled(4, c);
    expect(play.spelled).toMatch(/ ~b5$/);
    await play.done(5, b);
    expect(play.spelled).toMatch(/ ~b5 ~a6$/);
    await play.done(6, a);
    expect(play.spelled).toBe("a1 b2 c3 c4 !4 closing:failed ~b5 ~a6 failed");
  });

  it("does so on cancel too, and reports a compensation that fails while the rest still run", async () => {
    const play = new Play(saga);
    await play.start(0);
    await play.done(1, a);
    await play.done(2, b);
    await play.cancel();
    await play.cancelled(3, c);
    await play.done(4, c);
    await play.failed(5, b);
    await play.done(6, a);
    expect(play.spelled).toBe("a1 b2 c3 c4 cancel !3,4 closing:cancelled ~b5 !~5 ~a6 cancelled");
  });

  it("takes note of a second cancel, and of a repeated one not again (R3)", async () => {
    const play = new Play(flow((_n, w) => w.run(a, 0)));
    await play.start(0);
    const request = { v: 1, type: "CancelRequested", reason: "enough" } as const;
    await play.send({ ...request, id: "one" });
    await play.send({ ...request, id: "one" });
    await play.send({ ...request, id: "two" });
    await play.cancelled(1, a);
    expect(play.spelled).toBe("a1 cancel !1 cancel cancelled");
  });

  it("lets the workflow see the cancel, and starts nothing new", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        try {
          await w.sleep("1h");
        } catch (error) {
          await w.run(a, w.cancelled.aborted).catch(() => {});
          throw error;
        }
      }),
    );
    await play.start(0);
    await play.cancel("enough");
    expect(play.spelled).toBe("t1 cancel !1 cancelled");
  });

  it("an abandoned slot counts as cancelled; its late result changes nothing", async () => {
    const play = new Play(flow((_n, w) => w.run(a, 0)));
    await play.start(0);
    await play.cancel();
    await play.send({ v: 1, type: "SlotAbandoned", slot: 1 });
    await play.done(1, a, "late");
    expect(play.spelled).toBe("a1 cancel !1 cancelled");
  });
});

describe("a retry that waits long", () => {
  it("keeps its place by a timer and comes back as the attempt it was", async () => {
    const play = new Play(flow((_n, w) => w.run(a, 0)));
    await play.start(0);
    await play.send({ v: 1, type: "RetryLater", slot: 1, step: "a", attempt: 3, delayMs: 600_000 });
    await play.fired(1, 5);
    expect(play.spelled).toBe("a1 later1");
    await play.fired(1, 600_000);
    expect(play.events.at(-1)).toEqual({ type: "StepRescheduled", slot: 1, attempt: 3 });
    await play.done(1, a, "A");
    expect(play.spelled).toBe("a1 later1 again1 completed");
  });
});

describe("replay", () => {
  const busy = flow(async (n, w) => {
    const [x] = await w.all([w.run(a, n), w.run(b, w.random())]);
    await w.sleep(Math.floor(Math.random() * 1000));
    w.progress({ step: 1, total: 2, name: "half" });
    return w.map([1, 2, 3], (i) => w.run(c, [x, i, w.uuid(), Date.now()]), { concurrency: 2 });
  });
  async function played() {
    const play = new Play(busy);
    await play.start(5);
    await play.done(2, b);
    await play.done(1, a, "x");
    await play.fired(3, 1000);
    await play.done(5, c);
    await play.done(4, c);
    await play.done(6, c);
    return play;
  }

  it("of a history decides the same, byte for byte", async () => {
    const first = await played();
    const second = await played();
    expect(JSON.stringify(second.events)).toBe(JSON.stringify(first.events));
    const replay = new Play(busy, first.events);
    for (const x of first.inbox) expect(await replay.deliver(x)).toEqual([]);
    replay.run.checkReplayed([]);
    expect(replay.run.fault).toBeUndefined();
    expect(replay.run.closed).toBe(true);
  });

  it.each<[string, (w: WorkflowContext) => Promise<unknown>, RegExp]>([
    ["another step", (w) => w.run(b, 5), /recorded: .*"a".*\n.*replayed: .*"b"/],
    ["another input", (w) => w.run(a, 6), /"input":5.*\n.*"input":6/],
    ["a timer instead", (w) => w.sleep(1), /TimerStarted/],
    ["one more", (w) => w.all([w.run(a, 5), w.run(a, 5)]), /recorded: nothing/],
    ["nothing", async () => 1, /recorded: .*StepScheduled.*\n.*replayed: .*RunCompleted/],
  ])("with changed code that asks for %s is reported with both sides", async (_name, run, message) => {
    const recorded: RunEvent[] = [{ type: "StepScheduled", slot: 1, step: "a", input: 5 }];
    const play = new Play(
      flow((_n, w) => run(w)),
      recorded,
    );
    const extra = await play.start(5);
    play.run.checkReplayed(extra.map((event) => ({ event, text: "" })));
    expect(play.run.fault).toBeInstanceOf(NonDeterminismError);
    expect(play.run.fault!.message).toMatch(message);
  });

  it("is the same when every message comes twice (R3)", async () => {
    const once = await played();
    const twice = new Play(busy);
    let seq = 0;
    for (const x of once.inbox) {
      await twice.deliver({ ...x, seq: ++seq });
      await twice.deliver({ ...x, seq: ++seq });
    }
    expect(twice.events).toEqual(once.events);
  });
});

describe("a workflow that waits for something that w did not give", () => {
  it("is stalled when nothing else is open", async () => {
    const play = new Play(flow(() => new Promise(() => {})));
    await play.start(0);
    expect(play.run.fault).toBeInstanceOf(StalledError);
  });

  it("is stalled when it goes on outside its turn", async () => {
    const outside = Promise.withResolvers<void>();
    const play = new Play(
      flow(async (_n, w) => {
        const first = w.run(a, 0);
        await outside.promise;
        await w.run(b, 0);
        await first;
      }),
    );
    await play.start(0);
    outside.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(play.run.fault).toBeInstanceOf(StalledError);
    expect(await play.done(1, a)).toEqual([]);
  });
});

describe("whatever arrives, in whatever order, however often", () => {
  it("a fan-out ends the same, and with the same decisions as its replay (R1, R3, R5)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.boolean()), { maxLength: 30 }),
        async (arrivals) => {
          const fan = flow((_n, w) => w.allSettled([1, 2, 3, 4, 5].map((n) => w.run(a, n))));
          const play = new Play(fan);
          await play.start(0);
          for (const [slot, ok] of arrivals) await (ok ? play.done(slot, a, slot) : play.failed(slot, a));
          const slots = new Set(arrivals.map(([slot]) => slot).filter((slot) => slot <= 5));
          expect(play.run.closed).toBe(slots.size === 5);
          expect(play.events.filter((event) => event.type === "RunCompleted").length).toBe(slots.size === 5 ? 1 : 0);
          const replay = new Play(fan, play.events);
          for (const x of play.inbox) expect(await replay.deliver(x)).toEqual([]);
          replay.run.checkReplayed([]);
          expect(replay.run.fault).toBeUndefined();
        },
      ),
      { numRuns: 60 },
    );
  });
});
