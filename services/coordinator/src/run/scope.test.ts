import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const b = step("b", any);
const tidy = step("tidy", any);
const flow = (run: (input: any, w: WorkflowContext) => Promise<unknown>) =>
  workflow("flow", { ...any, signals: { note: z.string() } }, run as any);
const last = (play: Play) => play.events.at(-1) as any;

describe("a scope", () => {
  it("is cancelled alone, with whatever is asked for in it later", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const scope = w.scope(async () => {
          await w.run(a, 0).catch(() => {});
          await w.run(a, 1);
        });
        await w.run(b, 0);
        scope.cancel("enough");
        const [ended] = await w.allSettled([scope]);
        return [ended.status, (ended as any).reason.message];
      }),
    );
    await play.start();
    await play.done(2, b);
    expect(play.spelled).toBe("a1 b2 !1");
    await play.cancelled(1, a);
    expect(play.spelled).toBe("a1 b2 !1 completed");
    expect(last(play).output).toEqual(["rejected", "Run r1 was cancelled: enough"]);
    expect(await play.replayed()).toBeUndefined();
  });

  it("has a time-out that is the error of what it waits for", async () => {
    const play = new Play(flow((_n, w) => w.scope(() => w.run(a, 0), { timeout: "1m" })));
    await play.start();
    await play.fired(1);
    await play.cancelled(2, a);
    expect(play.spelled).toBe("t1 a2 !2 failed");
    expect(last(play).error).toMatchObject({ code: "TIMEOUT", data: { kind: "scope" } });
    expect(await play.replayed()).toBeUndefined();
  });

  it("that ends in time needs its timer no more", async () => {
    const play = new Play(flow((_n, w) => w.scope(() => w.run(a, 0), { timeout: "1m" })));
    await play.start();
    await play.done(2, a, "in time");
    expect(play.spelled).toBe("t1 a2 !1 completed");
  });

  it("that loses a race is cancelled as a whole", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const slow = w.scope(async () => {
          await w.run(a, 0);
          await w.run(b, 0);
        });
        const won = await w.race([slow, w.run(b, 1).then(() => "fast")]);
        slow.catch(() => {});
        return won;
      }),
    );
    await play.start();
    await play.done(2, b);
    await play.cancelled(1, a);
    expect(play.spelled).toBe("a1 b2 !1 closing:completed completed");
    expect(last(play).output).toBe("fast");
  });

  it("is reached by a cancel of the run", async () => {
    const play = new Play(flow((_n, w) => w.scope(() => w.scope(() => w.run(a, 0)))));
    await play.start();
    await play.cancel();
    await play.cancelled(1, a);
    expect(play.spelled).toBe("a1 cancel !1 cancelled");
  });
});

describe("w.uncancellable", () => {
  it("lets clean-up go on in a cancelled run", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        try {
          await w.run(a, 0);
        } finally {
          await w.uncancellable(async () => {
            await w.run(tidy, 1);
            await w.run(tidy, 2);
          });
        }
      }),
    );
    await play.start();
    await play.cancel();
    await play.cancelled(1, a);
    await play.done(2, tidy);
    await play.done(3, tidy);
    expect(play.spelled).toBe("a1 cancel !1 tidy2 tidy3 cancelled");
    expect(await play.replayed()).toBeUndefined();
  });

  it("is waited for, though nobody awaits it", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        void w.uncancellable(async () => {
          await w.run(tidy, 1);
          await w.run(tidy, 2);
        });
        await w.run(a, 0);
      }),
    );
    await play.start();
    await play.cancel();
    await play.cancelled(2, a);
    expect(play.spelled).toBe("tidy1 a2 cancel !2 closing:cancelled");
    await play.done(1, tidy);
    await play.done(3, tidy);
    expect(play.spelled).toBe("tidy1 a2 cancel !2 closing:cancelled tidy3 cancelled");
    expect(await play.replayed()).toBeUndefined();
  });

  it("can still be given up by a scope inside it", async () => {
    const play = new Play(
      flow((_n, w) =>
        w.uncancellable(async () => {
          const scope = w.scope(() => w.run(a, 0));
          await w.run(b, 0);
          scope.cancel();
          await w.allSettled([scope]);
        }),
      ),
    );
    await play.start();
    await play.cancel();
    await play.done(2, b);
    await play.cancelled(1, a);
    expect(play.spelled).toBe("a1 b2 cancel !1 completed");
  });

  it("is over when the time for clean-up is", async () => {
    const play = new Play(flow((_n, w) => w.uncancellable(() => w.run(tidy, 1))));
    await play.start();
    await play.cancel("enough", { cleanupMs: 60_000 });
    expect(play.spelled).toBe("tidy1 cancel cleanup2");
    await play.fired(2, 60_000);
    expect(play.spelled).toBe("tidy1 cancel cleanup2 terminated");
    expect(last(play).reason).toBe("enough (its clean-up took longer than 60000 ms)");
    expect(await play.replayed()).toBeUndefined();
  });
});

describe("terminate", () => {
  it("ends a run at once, without compensation, and nothing is decided after it", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        w.compensate(tidy, 0);
        await w.run(a, 0);
      }),
    );
    await play.start();
    await play.terminate("enough");
    await play.done(1, a);
    expect(play.spelled).toBe("a1 terminated");
    expect(last(play).reason).toBe("enough");
    expect(await play.replayed()).toBeUndefined();
  });
});

describe("a message that was meant for a run that had the id before", () => {
  const listening = workflow(
    "listening",
    {
      input: z.any(),
      output: z.any(),
      signals: { go: z.any() },
      updates: { add: { input: z.any(), output: z.any() } },
    },
    async (_n, w) => {
      w.onUpdate("add", (n) => n);
      return w.waitFor("go");
    },
  );
  it.each([
    ["signal", "go", "SignalAccepted"],
    ["update", "add", "UpdateCompleted"],
  ] as const)("changes nothing (%s); one to this run does", async (call, name, answer) => {
    const play = new Play(listening);
    await play.signal("go", 0, "stray");
    await play.start();
    expect(await play[call](name, 7, "late", 1)).toEqual([]);
    expect((await play[call](name, 7, "in time", 2)).map(({ type }) => type)).toContain(answer);
    expect(await play.replayed()).toBeUndefined();
  });

  it.each(["cancel", "terminate"] as const)("changes nothing (%s); one to this run does", async (stop) => {
    const play = new Play(flow(async (_n, w) => w.run(a, 0)));
    // Sequence 1: it reached the stream after the run that was meant was deleted, and before this one was started.
    await play[stop]("late");
    await play.start();
    expect(await play[stop]("late", { after: 1 })).toEqual([]);
    expect((await play[stop]("in time", { after: 2 })).map(({ type }) => type)).toContain(
      stop === "cancel" ? "CancelAccepted" : "RunTerminated",
    );
    expect(await play.replayed()).toBeUndefined();
  });
});
