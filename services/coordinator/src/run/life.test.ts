import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const b = step("b", any);
const signals = { note: z.string() };
const updates = { add: { input: z.int(), output: z.int() } };
type W = WorkflowContext<typeof signals, Record<never, never>, typeof updates>;
const flow = (run: (input: any, w: W) => Promise<unknown>) => workflow("flow", { ...any, signals, updates }, run);
const last = (play: Play) => play.events.at(-1) as any;

describe("w.continueAsNew", () => {
  const counting = flow(async (n, w) => {
    const drawn = w.random();
    await w.run(a, { n, drawn });
    return n < 3 ? w.continueAsNew(n + 1) : "end";
  });

  it("goes on as new in the same turn, with slots that are numbered on", async () => {
    const play = new Play(counting);
    await play.start(1);
    for (const slot of [1, 2, 3]) await play.done(slot, a);
    expect(play.spelled).toBe("a1 anew:2 a2 anew:3 a3 completed");
    expect(await play.replayed()).toBeUndefined();
  });

  it("can be taken up from its latest beginning, with the same chance", async () => {
    const play = new Play(counting);
    await play.start(1);
    for (const slot of [1, 2, 3]) await play.done(slot, a);
    const resumed = await play.resumed();
    expect(resumed.run.fault).toBeUndefined();
    expect(resumed.run.closed).toBe(true);
  });

  it("gives up what is open first", async () => {
    const play = new Play(
      flow(async (n, w) => {
        if (n === 2) return "end";
        void w.run(b, 0).catch(() => {});
        await w.run(a, n);
        return w.continueAsNew(n + 1);
      }),
    );
    await play.start(1);
    await play.done(2, a);
    expect(play.spelled).toBe("b1 a2 !1 closing:continued");
    await play.cancelled(1, b);
    expect(play.spelled).toBe("b1 a2 !1 closing:continued anew:2 completed");
    expect(await play.replayed()).toBeUndefined();
  });

  it("carries signals on that nobody has asked for, and updates that nobody has answered", async () => {
    const play = new Play(
      flow(async (n, w) => {
        if (n === 2) {
          let added = 0;
          w.onUpdate("add", (m) => (added += m));
          return [await w.waitFor("note"), await w.waitFor("note"), added];
        }
        await w.run(a, n);
        return w.continueAsNew(2);
      }),
    );
    await play.start(1);
    await play.signal("note", "one");
    await play.signal("note", "two");
    await play.update("add", 1);
    await play.done(1, a);
    expect(play.spelled).toBe("a1 +note +note anew:2 ?add =1 completed");
    expect(last(play).output).toEqual(["one", "two", 1]);
    expect(await play.replayed()).toBeUndefined();
    expect((await play.resumed()).run.fault).toBeUndefined();
  });

  it("takes an id for a repeat only within its kind, also after it has continued as new", async () => {
    const play = new Play(
      flow(async (n, w) => {
        let added = 0;
        w.onUpdate("add", (m) => (added += m));
        if (n === 1) {
          await w.run(a, n);
          return w.continueAsNew(2);
        }
        await w.run(a, n);
        return added;
      }),
    );
    await play.start(1);
    await play.signal("note", "one", "x");
    await play.signal("note", "one", "update y");
    await play.update("add", 1, "x"); // no repeat of the signal
    await play.update("add", 1, "x"); // a repeat
    expect(play.events.filter(({ type }) => type === "UpdateCompleted")).toMatchObject([{ id: "x", output: 1 }]);
    await play.done(1, a);
    await play.update("add", 5, "x"); // still a repeat
    await play.update("add", 7, "y"); // no repeat of the signal "update y"
    await play.signal("note", "again", "y"); // no repeat of the update
    expect(play.events.filter(({ type }) => type === "UpdateCompleted").at(-1)).toMatchObject({ id: "y", output: 7 });
    await play.done(2, a);
    expect(last(play).output).toEqual(7);
    expect(await play.replayed()).toBeUndefined();
  });

  it("is refused where compensations would be lost, or the input does not fit", async () => {
    const play = new Play(
      workflow("flow", { input: z.int(), output: z.any() }, async (_n, w) => {
        const bad = await w.continueAsNew("x").catch((error) => error.code);
        w.compensate(b, 0);
        return [bad, await w.continueAsNew(1).catch((error) => error.message)];
      }),
    );
    await play.start(1);
    expect(last(play).output).toEqual(["INVALID_INPUT", expect.stringContaining("would lose the compensations")]);
  });

  it("without ever waiting is no endless loop", async () => {
    const play = new Play(flow((n, w) => w.continueAsNew(n + 1)));
    await play.start(1);
    expect(play.run.fault?.code).toBe("STALLED");
  });

  it("does not outrun a cancel", async () => {
    const play = new Play(
      flow(async (n, w) => {
        await w.uncancellable(() => w.run(a, n));
        return w.continueAsNew(n);
      }),
    );
    await play.start(1);
    await play.cancel();
    await play.done(1, a);
    expect(play.spelled).toBe("a1 cancel cancelled");
  });

  it("does not outrun a cancel that comes while it settles, and keeps signals that do", async () => {
    const code = flow(async (n, w) => {
      if (n === 2) return w.waitFor("note");
      void w.run(b, 0).catch(() => {});
      await w.run(a, n);
      return w.continueAsNew(2);
    });
    const play = new Play(code);
    await play.start(1);
    await play.done(2, a);
    await play.cancel();
    await play.cancelled(1, b);
    expect(play.spelled).toBe("b1 a2 !1 closing:continued cancel cancelled");
    expect(await play.replayed()).toBeUndefined();
    const other = new Play(code);
    await other.start(1);
    await other.done(2, a);
    await other.signal("note", "kept");
    await other.cancelled(1, b);
    expect(other.spelled).toBe("b1 a2 !1 closing:continued +note anew:2 completed");
    expect(last(other).output).toBe("kept");
  });

  it("makes the history short again, and the workflow sees how long it is", async () => {
    const lengths: number[] = [];
    const play = new Play(
      flow(async (n, w) => {
        lengths.push(w.history.length);
        await w.run(a, n);
        lengths.push(w.history.length);
        return n < 2 ? w.continueAsNew(n + 1) : w.history.continueSuggested;
      }),
    );
    await play.start(1);
    await play.done(1, a);
    await play.done(2, a);
    expect(lengths).toEqual([0, 2, 0, 2]);
    expect(last(play).output).toBe(false);
  });
});

describe("w.patched", () => {
  const before = flow(async (_n, w) => {
    await w.run(a, 0);
    await w.run(a, 1);
  });
  const after = flow(async (_n, w) => {
    await w.run(a, 0);
    if (w.patched("b instead")) await w.run(b, 1);
    else await w.run(a, 1);
  });

  it("is true for a run that comes there with the new code, and stays so", async () => {
    const play = new Play(after);
    await play.start();
    await play.done(1, a);
    await play.done(2, b);
    expect(play.spelled).toBe("a1 patch:b instead b2 completed");
    expect(await play.replayed()).toBeUndefined();
  });

  it("is false for a run that was there with the old", async () => {
    const old = new Play(before);
    await old.start();
    await old.done(1, a);
    expect(await old.replayed(after)).toBeUndefined();
  });

  it("is true for a run that has begun with the old code, but was not there yet", async () => {
    const old = new Play(before);
    await old.start();
    const play = new Play(after, old.events, "r1", old.inbox.at(-1)!.seq);
    await play.deliver(old.inbox[0]!);
    await play.deliver({
      seq: 2,
      at: 2_000_000,
      message: { v: 1, type: "StepCompleted", slot: 1, step: "a", attempt: 1 },
    });
    expect(play.spelled).toBe("patch:b instead b2");
  });

  it("without it the change is reported", async () => {
    const old = new Play(before);
    await old.start();
    await old.done(1, a);
    const changed = flow(async (_n, w) => {
      await w.run(a, 0);
      await w.run(b, 1);
    });
    expect((await old.replayed(changed))?.message).toMatch(/no longer fits the history of run r1/);
  });
});

describe("w.sideEffect", () => {
  it("is called once, and every replay gets what it returned", async () => {
    let calls = 0;
    const code = flow(async (_n, w) => {
      const drawn = w.sideEffect(() => ({ n: ++calls }));
      await w.run(a, drawn);
      return drawn;
    });
    const play = new Play(code);
    await play.start();
    await play.done(1, a);
    expect(await play.replayed()).toBeUndefined();
    expect(calls).toBe(1);
    expect(last(play).output).toEqual({ n: 1 });
  });

  class NoLuckError extends Error {
    readonly code = "NO_LUCK";
  }
  it.each<[string, () => unknown, unknown]>([
    [
      "an error",
      () => {
        throw new NoLuckError("no luck");
      },
      ["RemoteError", "NO_LUCK", "no luck", false],
    ],
    [
      "what is no error",
      () => {
        throw "no luck";
      },
      ["RemoteError", "ERROR", "no luck", false],
    ],
    [
      "because nothing can carry what it returns",
      () => () => 1,
      ["InvalidOutputError", "INVALID_OUTPUT", expect.any(String), false],
    ],
  ])("that throws %s is recorded, and every replay throws the same", async (_what, fails, seen) => {
    let calls = 0;
    const code = flow(async (_n, w) => {
      try {
        w.sideEffect(() => {
          calls++;
          return fails();
        });
      } catch (error: any) {
        const what = [error.constructor.name, error.code, error.message, error instanceof NoLuckError];
        return [...what, await w.run(a, what)];
      }
    });
    const play = new Play(code);
    await play.start();
    await play.done(1, a, "A");
    expect(play.events[0]).toMatchObject({ type: "SideEffectRecorded", error: { code: (seen as string[])[1] } });
    expect(last(play).output).toEqual([...(seen as unknown[]), "A"]);
    expect(await play.replayed()).toBeUndefined();
    expect(calls).toBe(1);
  });
});

describe("a start", () => {
  it("with a delay calls the workflow when the delay is over", async () => {
    const play = new Play(flow(async (_n, w) => w.now()));
    await play.start(0, { delayMs: 60_000 });
    expect(play.spelled).toBe("delay1");
    await play.fired(1, 60_000);
    expect(last(play).output).toBe(play.inbox.at(-1)!.at);
    expect(await play.replayed()).toBeUndefined();
  });

  it("with a delay can be cancelled before", async () => {
    const play = new Play(flow((_n, w) => w.run(a, 0)));
    await play.start(0, { delayMs: 60_000 });
    await play.cancel();
    await play.fired(1, 60_000);
    expect(play.spelled).toBe("delay1 cancel cancelled");
  });

  it("with a time-out fails when it is over, after its clean-up", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        w.compensate(b, 0);
        await w.run(a, 0);
      }),
    );
    await play.start(0, { timeoutMs: 60_000 });
    await play.fired(1, 60_000);
    await play.cancelled(2, a);
    await play.done(3, b);
    expect(play.spelled).toBe("timeout1 a2 time-out !2 closing:failed ~b3 failed");
    expect(last(play).error).toMatchObject({ code: "TIMEOUT", data: { kind: "run" } });
    expect(await play.replayed()).toBeUndefined();
  });

  it("with a time-out leaves no timer behind, and keeps it when it goes on as new", async () => {
    const play = new Play(
      flow(async (n, w) => {
        await w.run(a, n);
        return n < 2 ? w.continueAsNew(n + 1) : "end";
      }),
    );
    await play.start(1, { timeoutMs: 60_000 });
    await play.done(2, a);
    await play.done(4, a);
    expect(play.spelled).toBe("timeout1 a2 anew:2 timeout3 a4 completed");
    const [first, , , second] = play.events as any[];
    expect(second.fireAt).toBe(first.fireAt);
    expect([...play.run.slots.values()].every((slot) => slot.state === "done")).toBe(true);
  });

  it("under an id that had another run numbers its slots on", async () => {
    const play = new Play(flow((_n, w) => w.run(a, 0)));
    await play.start(0, { slots: 7 });
    expect(play.spelled).toBe("a8");
  });
});

describe("what a workflow is given", () => {
  it.each([
    ["its input", (input: any) => input.list.push(1)],
    ["a step's output", async (_input: any, w: W) => ((await w.run(a, 0)) as any).deep.list.push(1)],
  ])("is frozen: %s", async (_what, change) => {
    const play = new Play(flow(async (input, w) => change(input, w)));
    await play.start({ list: [] });
    if (!play.run.closed) await play.done(1, a, { deep: { list: [] } });
    expect(last(play)).toMatchObject({ type: "RunFailed", error: { cause: { name: "TypeError" } } });
  });
});
