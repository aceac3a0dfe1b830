import { fromFailure } from "@stepstream/contracts";
import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const signals = { approve: z.object({ by: z.string() }), note: z.string() };
const queries = { status: z.string(), plus: { input: z.number(), output: z.number() } };
const updates = { add: { input: z.int(), output: z.int() } };
type W = WorkflowContext<typeof signals, typeof queries, typeof updates>;
const flow = (run: (input: any, w: W) => Promise<unknown>) =>
  workflow("flow", { ...any, signals, queries, updates }, run);
const last = (play: Play) => play.events.at(-1) as any;

describe("a signal", () => {
  it("wakes who waits for it", async () => {
    const play = new Play(flow(async (_n, w) => (await w.waitFor("approve")).by));
    await play.start();
    expect(play.run.waitsForOutside).toBe(true);
    await play.signal("approve", { by: "eva" });
    expect(play.spelled).toBe("+approve completed");
    expect(last(play).output).toBe("eva");
    expect(await play.replayed()).toBeUndefined();
  });

  it("is kept until somebody asks for it, in the order they came", async () => {
    const play = new Play(flow(async (_n, w) => [await w.run(a, 0), await w.waitFor("note"), await w.waitFor("note")]));
    await play.start();
    await play.signal("note", "one");
    await play.signal("note", "two");
    await play.done(1, a, "a");
    expect(last(play).output).toEqual(["a", "one", "two"]);
    expect(await play.replayed()).toBeUndefined();
  });

  it("that comes twice is one", async () => {
    const play = new Play(flow(async (_n, w) => [await w.waitFor("note"), await w.waitFor("note")]));
    await play.start();
    await play.signal("note", "one", "same");
    await play.signal("note", "one", "same");
    expect(play.spelled).toBe("+note");
  });

  it("is handed to one of two who wait, to the first first", async () => {
    const play = new Play(flow((_n, w) => Promise.all([w.waitFor("note"), w.waitFor("note")])));
    await play.start();
    await play.signal("note", "one");
    await play.signal("note", "two");
    expect(last(play).output).toEqual(["one", "two"]);
  });

  it.each([
    ["whose payload does not fit", "approve", { by: 7 }, "by"],
    ["that the workflow does not know", "aprove", { by: "eva" }, 'declares no signal "aprove"; it has approve, note'],
  ])("%s is refused, and the run goes on", async (_what, name, payload, why) => {
    const play = new Play(flow((_n, w) => w.waitFor("approve")));
    await play.start();
    await play.signal(name, payload);
    expect(play.spelled).toBe(`-${name}`);
    expect(last(play).error.message).toContain(why);
    await play.signal("approve", { by: "eva" });
    expect(play.spelled).toBe(`-${name} +approve completed`);
  });

  it("that came with the start is there from the start", async () => {
    const play = new Play(flow((_n, w) => w.waitFor("note")));
    await play.start(0, { signals: [{ id: "s", name: "note", payload: "hi" }] });
    expect(play.spelled).toBe("+note completed");
  });

  it("that comes in time ends the time-out; else the wait ends with undefined", async () => {
    const wait = flow(async (_n, w) => (await w.waitFor("note", { timeout: "1h" })) ?? "none");
    const inTime = new Play(wait);
    await inTime.start();
    await inTime.signal("note", "hi");
    expect(inTime.spelled).toBe("t1 +note !1 completed");
    const late = new Play(wait);
    await late.start();
    await late.fired(1);
    expect(late.spelled).toBe("t1 completed");
    expect(last(late).output).toBe("none");
    for (const play of [inTime, late]) expect(await play.replayed()).toBeUndefined();
  });

  it("is not swallowed by a wait that has lost its race", async () => {
    const play = new Play(
      flow(async (_n, w) => [await w.race([w.waitFor("note"), w.run(a, 0)]), await w.waitFor("note")]),
    );
    await play.start();
    await play.done(1, a, "a");
    await play.signal("note", "kept");
    expect(last(play).output).toEqual(["a", "kept"]);
  });

  it("a cancel ends the wait", async () => {
    const play = new Play(flow((_n, w) => w.waitFor("note", { timeout: "1h" })));
    await play.start();
    await play.cancel();
    expect(play.spelled).toBe("t1 cancel !1 cancelled");
    expect(await play.replayed()).toBeUndefined();
  });

  it("payload is frozen", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        (await w.waitFor("approve")).by = "me";
      }),
    );
    await play.start();
    await play.signal("approve", { by: "eva" });
    expect(last(play)).toMatchObject({ type: "RunFailed", error: { cause: { name: "TypeError" } } });
  });
});

describe("a query", () => {
  const counting = flow(async (_n, w) => {
    let done = 0;
    w.onQuery("status", () => `${done} done`);
    w.onQuery("plus", (n) => done + n);
    for (; done < 2; done++) await w.run(a, done);
  });

  it("is answered from the run as it is, also after its end, and decides nothing", async () => {
    const play = new Play(counting);
    await play.start();
    expect(play.run.query("status", undefined)).toBe("0 done");
    await play.done(1, a);
    expect(play.run.query("status", undefined)).toBe("1 done");
    expect(play.run.query("plus", 5)).toBe(6);
    await play.done(2, a);
    expect(play.run.query("status", undefined)).toBe("2 done");
    expect(play.spelled).toBe("a1 a2 completed");
  });

  it("is refused where it does not fit or is not known", async () => {
    const play = new Play(counting);
    await play.start();
    expect(() => play.run.query("plus", "5")).toThrow(/query "plus" is not valid/);
    expect(() => play.run.query("state", undefined)).toThrow(/declares no query "state"; it has status, plus/);
  });

  it.each([
    ["asks for a step", (w: W) => w.run(a, 0), "w.run(a) would change run r1"],
    ["draws a number", (w: W) => w.random(), "w.random() would change run r1"],
    ["draws a native number", () => Math.random(), "w.random() would change run r1"],
    ["records something", (w: W) => w.sideEffect(() => 1), "w.sideEffect() would change run r1"],
  ])("that %s changes nothing and says so", async (_what, look, why) => {
    const play = new Play(
      flow(async (_n, w) => {
        w.onQuery("status", () => String(look(w)));
        await w.waitFor("note");
      }),
    );
    await play.start();
    let thrown: any;
    try {
      play.run.query("status", undefined);
    } catch (error) {
      thrown = error;
    }
    // A promise is turned into a string before anybody looks at its rejection.
    if (thrown) expect(thrown.message).toContain(why);
    await new Promise((resolve) => setImmediate(resolve));
    await play.signal("note", "end");
    expect(play.spelled).toBe("+note completed");
  });

  it("whose handler is async is told to be quick", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        w.onQuery("status", (async () => "later") as any);
        await w.waitFor("note");
      }),
    );
    await play.start();
    expect(() => play.run.query("status", undefined)).toThrow(/its handler is async/);
  });
});

describe("an update", () => {
  const adding = flow(async (_n, w) => {
    let total = 0;
    w.onUpdate(
      "add",
      async (n) => {
        await w.run(a, n);
        if (n === 13) throw new Error("bad luck");
        total += n;
        return total;
      },
      {
        validate(n) {
          if (n > 100) throw new Error("too much");
        },
      },
    );
    await w.until(() => total >= 5);
    return total;
  });

  it("changes the run and is answered", async () => {
    const play = new Play(adding);
    await play.start();
    await play.update("add", 5);
    await play.done(1, a);
    expect(play.spelled).toBe("?add a1 =5 completed");
    expect(last(play).output).toBe(5);
    expect(await play.replayed()).toBeUndefined();
  });

  it.each([
    ["whose input does not fit", "add", 1.5, /update "add" is not valid/],
    ["that its validator throws on", "add", 101, /too much/],
    ["that the workflow does not know", "sub", 1, /declares no update "sub"; it has add/],
  ])("%s is refused, and has changed nothing", async (_what, name, input, why) => {
    const play = new Play(adding);
    await play.start();
    await play.update(name, input);
    expect(play.spelled).toBe("refused");
    expect(fromFailure(last(play).error).message).toMatch(why);
    expect(await play.replayed()).toBeUndefined();
  });

  it("whose handler throws fails for its sender, and the run goes on", async () => {
    const play = new Play(adding);
    await play.start();
    await play.update("add", 13);
    await play.done(1, a);
    expect(play.spelled).toBe("?add a1 =!");
    expect(last(play).error.message).toBe("bad luck");
    await play.update("add", 7);
    await play.done(2, a);
    expect(last(play).output).toBe(7);
  });

  it("that comes twice is one; one that comes before its handler is kept", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        await w.run(a, 0);
        let n = 0;
        w.onUpdate("add", (m) => {
          n += m;
          return n;
        });
        await w.until(() => n > 0);
      }),
    );
    await play.start();
    await play.update("add", 2, "same");
    await play.update("add", 2, "same");
    await play.done(1, a);
    expect(play.spelled).toBe("a1 ?add =2 completed");
    expect(await play.replayed()).toBeUndefined();
  });
});

describe("an update that is in progress when the workflow function ends", () => {
  const ending = (end: (w: W) => Promise<unknown>, work: (w: W) => Promise<unknown> = (w) => w.run(a, 0)) =>
    flow(async (n, w) => {
      if (n === 2) return "end";
      w.onUpdate("add", async (m) => {
        await work(w);
        return m;
      });
      await w.waitFor("note");
      return end(w);
    });
  async function until(play: Play): Promise<any> {
    await play.start(1);
    await play.update("add", 1, "u");
    await play.signal("note", "end");
    if (play.run.slots.get(1)?.state === "cancelling") await play.cancelled(1, a);
    return play.events.find((event) => "id" in event && event.id === "u" && event.type !== "UpdateAccepted");
  }

  it.each<[string, (w: W) => Promise<unknown>, RegExp]>([
    ["goes on as new", (w) => w.continueAsNew(2), /continued as new while the update was in progress.*Send it again/],
    ["returns", async () => 1, /completed while the update was in progress/],
    ["throws", () => Promise.reject(new Error("no")), /failed while the update was in progress/],
  ])("is refused with the reason where it %s", async (_what, end, why) => {
    for (const work of [
      undefined,
      (w: W) => w.waitFor("approve"),
      (w: W) => w.until(() => false),
      () => new Promise(() => {}),
    ]) {
      const play = new Play(ending(end, work));
      expect(await until(play)).toMatchObject({
        type: "UpdateRefused",
        error: { message: expect.stringMatching(why) },
      });
      expect(play.run.closed).toBe(true);
      expect(await play.replayed()).toBeUndefined();
    }
  });

  it.each([
    ["is cancelled", {}, (play: Play) => play.cancel(), /The run was cancelled while the update was in progress/],
    ["times out", { timeoutMs: 60_000 }, (play: Play) => play.fired(1), /The run timed out while the update was in/],
  ])("is refused with the reason where the run %s", async (_what, options, end, why) => {
    const play = new Play(ending((w) => w.continueAsNew(2)));
    await play.start(1, options);
    await play.update("add", 1, "u");
    await end(play);
    await play.cancelled([...play.run.slots.keys()].at(-1)!, a);
    expect(play.run.closed).toBe(true);
    expect(play.events.filter((event) => "id" in event && event.id === "u")).toMatchObject([
      { type: "UpdateAccepted" },
      { type: "UpdateRefused", error: { message: expect.stringMatching(why) } },
    ]);
    expect(await play.replayed()).toBeUndefined();
  });

  it("answers as it likes when it handles the cancel itself", async () => {
    const work = (w: W) =>
      w.run(a, 0).catch(() => {
        throw new RangeError("of my own");
      });
    const play = new Play(ending((w) => w.continueAsNew(2), work));
    await play.start(1);
    await play.update("add", 1, "u");
    await play.cancel();
    await play.cancelled(1, a);
    expect(play.events.find(({ type }) => type === "UpdateFailed")).toMatchObject({ error: { message: "of my own" } });
  });

  it("is answered where the workflow waits for it", async () => {
    const play = new Play(
      ending(async (w) => {
        await w.until(() => w.updatesInProgress === 0);
        return w.continueAsNew(2);
      }),
    );
    await play.start(1);
    await play.update("add", 7, "u");
    await play.signal("note", "end");
    expect(play.run.closed).toBe(false);
    await play.done(1, a);
    expect(play.spelled).toBe("?add a1 +note =7 anew:2 completed");
    expect(await play.replayed()).toBeUndefined();
  });

  it("and one that comes while the run settles waits for the next run segment", async () => {
    const play = new Play(
      flow(async (n, w) => {
        w.onUpdate("add", (m) => m * n);
        if (n === 2) return w.waitFor("note");
        void w.run(a, 0).catch(() => {});
        await w.waitFor("note");
        return w.continueAsNew(2);
      }),
    );
    await play.start(1);
    await play.signal("note", "end");
    await play.update("add", 5);
    await play.cancelled(1, a);
    expect(play.spelled).toBe("a1 +note !1 closing:continued anew:2 ?add =10");
    expect(await play.replayed()).toBeUndefined();
    expect((await play.resumed()).run.fault).toBeUndefined();
  });
});

describe("an async function where only a synchronous one works", () => {
  // biome-ignore lint/suspicious/noThenProperty: it is to be a thenable.
  const thenable = () => ({ then: (resolve: (value: unknown) => void) => resolve(true) });
  const rejecting = async () => {
    throw new Error("never seen");
  };
  for (const [kind, fn] of [
    ["async", async () => true],
    ["rejecting", rejecting],
    ["thenable", thenable],
  ] as [string, any][]) {
    it.each<[string, (w: W) => unknown, RegExp]>([
      ["w.sideEffect", (w) => w.sideEffect(fn), /The function of w\.sideEffect\(\) is async/],
      ["w.until", (w) => w.until(fn), /The condition of w\.until\(\) is async/],
      [
        "w.until, later",
        (w) => {
          let asked = 0;
          return w.until(() => (asked++ === 0 ? false : fn()));
        },
        /The condition of w\.until\(\) is async/,
      ],
    ])(`is refused, ${kind}: %s`, async (_what, ask, why) => {
      const play = new Play(flow(async (_n, w) => void (await ask(w))));
      await play.start(0);
      await play.signal("note", "go on");
      const { error } = play.events.find(({ type }) => type === "RunFailed") as any;
      expect(error.cause.message).toMatch(why);
      expect(await play.replayed()).toBeUndefined();
    });

    it(`refuses the update, ${kind}: validate`, async () => {
      const play = new Play(
        flow(async (_n, w) => {
          w.onUpdate("add", (n) => n, { validate: fn });
          await w.waitFor("note");
        }),
      );
      await play.start(0);
      await play.update("add", 1);
      expect(last(play)).toMatchObject({
        type: "UpdateRefused",
        error: { message: expect.stringContaining("is async") },
      });
      await play.signal("note", "end");
      expect(last(play).type).toBe("RunCompleted");
    });

    it(`is told to a query's sender, ${kind}`, async () => {
      const play = new Play(
        flow(async (_n, w) => {
          w.onQuery("status", fn);
          await w.waitFor("note");
        }),
      );
      await play.start(0);
      expect(() => play.run.query("status", undefined)).toThrow(/its handler is async/);
      await new Promise((resolve) => setImmediate(resolve));
      await play.signal("note", "end");
      expect(last(play).type).toBe("RunCompleted");
    });
  }
});

describe("w.until", () => {
  it("gives up after its time-out", async () => {
    const play = new Play(flow((_n, w) => w.until(() => false, { timeout: "1m" })));
    await play.start();
    await play.fired(1);
    expect(last(play).output).toBe(false);
  });

  it("fails with what its condition throws, also where it would change something", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        let asked = 0;
        await w.until(() => (asked++ === 0 ? false : w.random() > 2));
      }),
    );
    await play.start();
    await play.signal("note", "go on");
    expect(last(play).error.cause.code).toBe("FORBIDDEN_IN_QUERY");
  });
});
