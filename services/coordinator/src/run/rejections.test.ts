import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const b = step("b", any);
const signals = { note: z.string() };
const updates = { add: { input: z.int(), output: z.int() } };
const queries = { status: z.string() };
type W = WorkflowContext<typeof signals, typeof queries, typeof updates>;
const flow = (run: (input: any, w: W) => Promise<unknown>) =>
  workflow("flow", { ...any, signals, updates, queries }, run);
const last = (play: Play) => play.events.at(-1) as any;
const caught = (error: Error) => `caught: ${(error.cause as Error).message}`;

/** Returns the value, and leaves the promise alone. */
function forgetting<T>(_promise: Promise<unknown>, value: T): T {
  return value;
}

describe("a rejection", () => {
  it.each<[string, (w: W) => Promise<unknown>]>([
    [
      "that is awaited some turns later",
      async (w) => {
        const p = w.run(a, 0);
        await w.sleep(300);
        return p.catch(caught);
      },
    ],
    [
      "that is awaited in a group some turns later",
      async (w) => {
        const p = w.run(a, 0);
        await w.sleep(300);
        const [result] = await w.allSettled([p]);
        return caught((result as PromiseRejectedResult).reason);
      },
    ],
    [
      "of an async function that is awaited later",
      async (w) => {
        const p = (async () => w.run(a, 0))();
        await w.sleep(300);
        try {
          return await p;
        } catch (error) {
          return caught(error as Error);
        }
      },
    ],
    [
      "of a scope that is awaited later",
      async (w) => {
        const p = w.scope(() => w.run(a, 0));
        await w.sleep(300);
        return p.catch(caught);
      },
    ],
  ])("%s reaches the workflow's own catch", async (_what, code) => {
    const play = new Play(flow((_n, w) => code(w)));
    await play.start(0);
    await play.failed(1, a);
    await play.fired(2);
    expect(play.spelled).toBe("a1 t2 completed");
    expect(last(play).output).toBe("caught: boom");
    expect(await play.replayed()).toBeUndefined();
  });

  it.each<[string, (w: W) => void]>([
    ["of a step", (w) => void w.run(a, 0)],
    ["of a promise made of a step's", (w) => void w.run(a, 0).then(() => 1)],
    ["of an async function", (w) => void (async () => w.run(a, 0))()],
    ["of a group", (w) => void w.all([w.run(a, 0)])],
    ["in the handler of an update", (w) => w.onUpdate("add", (n) => forgetting(w.run(a, 0), n))],
  ])("%s that nothing has awaited at the end fails the run, and says that it was unhandled", async (_what, ask) => {
    const play = new Play(
      flow(async (_n, w) => {
        ask(w);
        await w.waitFor("note");
        return "done";
      }),
    );
    await play.start(0);
    if (!play.spelled) await play.update("add", 1);
    await play.failed(1, a, "unseen");
    expect(play.run.closed).toBe(false);
    await play.signal("note", "end");
    expect(last(play)).toMatchObject({
      type: "RunFailed",
      error: {
        code: "UNHANDLED_REJECTION",
        message: expect.stringMatching(/unhandled.*unseen/),
        cause: { code: "STEP_FAILED" },
      },
    });
    expect(await play.replayed()).toBeUndefined();
  });

  it("in the very turn in which the function ends counts too", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        void Promise.reject(new Error("at once"));
        await w.run(b, 0).catch(() => {});
        void Promise.reject("no error");
        return 1;
      }),
    );
    await play.start(0);
    await play.done(1, b);
    expect(last(play).error).toMatchObject({ code: "UNHANDLED_REJECTION", data: { detail: { count: 2 } } });
    expect(await play.replayed()).toBeUndefined();
  });

  const refuses = () => {
    throw new Error("cannot be read");
  };
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  it.each<[string, () => unknown]>([
    ["a proxy without a prototype to read", () => new Proxy({}, { getPrototypeOf: refuses, get: refuses })],
    ["a revoked proxy", () => revoked],
    ["an error behind a proxy", () => new Proxy(new Error("x"), { get: refuses, getPrototypeOf: refuses })],
    ["an error with an unreadable cause", () => Object.defineProperty(new Error("x"), "cause", { get: refuses })],
    [
      "an aggregate with unreadable errors",
      () => Object.defineProperty(new AggregateError([], "x"), "errors", { get: refuses }),
    ],
    ["an error that is caused by a proxy", () => new Error("x", { cause: new Proxy({}, { getPrototypeOf: refuses }) })],
  ])("with %s fails the run, and the process does not notice", async (_what, make) => {
    const uncaught: unknown[] = [];
    const listener = (error: unknown) => void uncaught.push(error);
    process.on("uncaughtException", listener);
    try {
      const play = new Play(
        flow(async (_n, w) => {
          void w.all([Promise.reject(make())]);
          void Promise.reject(make());
          await w.waitFor("note");
          return "done";
        }),
      );
      await play.start(0);
      await play.signal("note", "end");
      expect(uncaught.length, "exceptions that no run owns").toBe(0);
      expect(last(play)).toMatchObject({ type: "RunFailed", error: { code: "UNHANDLED_REJECTION" } });
      expect(await play.replayed()).toBeUndefined();
    } finally {
      process.off("uncaughtException", listener);
    }
  });

  it("does not hide what the function itself has thrown", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        void w.run(a, 0);
        await w.waitFor("note");
        throw new Error("mine");
      }),
    );
    await play.start(0);
    await play.failed(1, a, "unseen");
    await play.signal("note", "end");
    expect(last(play).error.cause.message).toBe("mine");
  });

  it.each<[string, (w: W) => Promise<unknown>]>([
    ["a race", (w) => w.race([w.run(a, 0).then(() => 1), w.waitFor("note")])],
    [
      "a race of functions",
      async (w) => (await w.race({ a: async () => w.run(a, 0), n: () => w.waitFor("note") })).value,
    ],
    [
      "a scope",
      async (w) => {
        const scope = w.scope(async () => {
          void w.run(a, 0).then(() => 1);
          await w.sleep("1h");
        });
        await w.waitFor("note");
        scope.cancel();
        return "end";
      },
    ],
    [
      "a group that failed",
      async (w) => {
        const slow = w.run(a, 0);
        void slow.then(() => 1);
        await w.all([slow, w.waitFor("note").then(() => Promise.reject(new Error("no")))]).catch(() => {});
        return "end";
      },
    ],
  ])("that the engine causes by cancelling %s does not count", async (_what, code) => {
    const play = new Play(flow((_n, w) => code(w)));
    await play.start(0);
    await play.signal("note", "end");
    await play.cancelled(1, a);
    expect(last(play)).toMatchObject({ type: "RunCompleted", output: "end" });
    expect(await play.replayed()).toBeUndefined();
  });

  it("of a query's handler counts for nothing", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        w.onQuery("status", () => forgetting(Promise.reject(new Error("no")), "fine"));
        return w.waitFor("note");
      }),
    );
    await play.start(0);
    expect(play.run.query("status", undefined)).toBe("fine");
    await new Promise((resolve) => setImmediate(resolve));
    await play.signal("note", "end");
    expect(last(play).output).toBe("end");
  });
});

describe("what the function leaves open", () => {
  it.each<[string, (w: W) => unknown, string, (play: Play) => Promise<unknown>]>([
    ["a step", (w) => w.run(a, 0), "a1 !1 closing:completed completed", (play) => play.cancelled(1, a)],
    ["a timer", (w) => w.sleep("1h"), "t1 !1 completed", async () => {}],
    [
      "a child",
      (w) => w.child(child, 0),
      "<r1-1>1 !1 closing:completed completed",
      (play) => play.childFailed(1, "r1-1", "cancelled"),
    ],
    ["a wait", (w) => w.waitFor("note"), "completed", async () => {}],
    ["a wait with a time-out", (w) => w.waitFor("note", { timeout: "1h" }), "t1 !1 completed", async () => {}],
    ["a condition", (w) => w.until(() => false), "completed", async () => {}],
    ["a scope", (w) => w.scope(() => w.run(a, 0)), "a1 !1 closing:completed completed", (play) => play.cancelled(1, a)],
    ["a chain", (w) => w.sleep("1h").catch(() => w.run(b, 0)), "t1 !1 completed", async () => {}],
  ])("%s is cancelled and waited for, and named as forgotten", async (_what, ask, spelled, settle) => {
    const play = new Play(
      flow(async (_n, w) => {
        void ask(w);
        return 1;
      }),
    );
    await play.start(0);
    await settle(play);
    expect(play.spelled).toBe(spelled);
    expect(last(play).output).toBe(1);
    expect(play.run.takeForgotten()).toHaveLength(1);
    expect(play.run.fault).toBeUndefined();
    expect(await play.replayed()).toBeUndefined();
  });

  it.each<[string, (w: W) => Promise<unknown>]>([
    ["is awaited", (w) => w.run(a, 0)],
    ["has lost a race", (w) => w.race([w.run(a, 0), w.run(b, 0)])],
    ["is a child that is abandoned", async (w) => void w.child(child, 0, { onParentClose: "abandon" })],
  ])("is not named where it %s", async (_what, code) => {
    const play = new Play(flow((_n, w) => code(w)));
    await play.start(0);
    await play.done(1, a);
    expect(play.run.takeForgotten()).toEqual([]);
  });
});

const child = workflow("child", any, async () => 1);
