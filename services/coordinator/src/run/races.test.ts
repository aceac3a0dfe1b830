import { step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const a = step("a", any);
const b = step("b", any);
const signals = { m: z.any(), n: z.any(), go: z.void() };
type W = WorkflowContext<typeof signals>;
const flow = (run: (input: any, w: W) => Promise<unknown>) => workflow("flow", { ...any, signals }, run);
const last = (play: Play) => play.events.at(-1) as any;

describe("a signal is never lost to a wait that has lost its race", () => {
  const rounds: [string, (w: W) => Promise<unknown>][] = [
    ["promises that `w` returned", (w) => w.race([w.waitFor("m"), w.sleep(300)])],
    ["derived promises", (w) => w.race([w.waitFor("m").then((x) => x), w.sleep(300).then(() => undefined)])],
    [
      "a chain of them",
      (w) =>
        w.race([
          w
            .waitFor("m")
            .then((x) => x)
            .catch(() => 0)
            .finally(() => {}),
          w.sleep(300),
        ]),
    ],
    ["groups", (w) => w.race([w.all([w.waitFor("m"), 0]).then(([x]) => x), w.sleep(300)])],
    ["named branches", async (w) => (await w.race({ m: () => w.waitFor("m"), tick: () => w.sleep(300) })).value],
    [
      "named async branches",
      async (w) => (await w.race({ m: async () => await w.waitFor("m"), t: () => w.sleep(300) })).value,
    ],
    ["functions in a list", (w) => w.race([async () => await w.waitFor("m"), () => w.sleep(300)])],
    ["named promises", async (w) => (await w.race({ m: w.waitFor("m"), tick: w.sleep(300) })).value],
    ["w.any", (w) => w.any([w.waitFor("m").then((x) => x), w.sleep(300)])],
    ["w.any with names", async (w) => (await w.any({ m: () => w.waitFor("m"), tick: () => w.sleep(300) })).value],
    ["a scope", (w) => w.race([w.scope(async () => await w.waitFor("m")), w.sleep(300)])],
  ];
  it.each(rounds)("%s, in a loop", async (_what, round) => {
    const play = new Play(
      flow(async (_n, w) => {
        const taken: unknown[] = [];
        for (let i = 0; i < 3; i++) taken.push((await round(w)) ?? "tick");
        return taken;
      }),
    );
    await play.start(0);
    await play.fired(1);
    await play.signal("m", "first");
    await play.signal("m", "second");
    expect(last(play)).toMatchObject({ type: "RunCompleted", output: ["tick", "first", "second"] });
    expect(await play.replayed()).toBeUndefined();
  });

  it.each<[string, (w: W) => Promise<unknown>]>([
    ["begun before", (w) => w.race([(async () => await w.waitFor("m"))(), w.sleep(300)])],
    ["begun before, returned as it is", (w) => w.race([(async () => w.waitFor("m"))(), w.sleep(300)])],
    [
      "begun while it raced",
      (w) =>
        w.race([
          (async () => {
            await w.sleep(1);
            return await w.waitFor("m");
          })(),
          w.sleep(300),
        ]),
    ],
    ["of w.any", (w) => w.any([(async () => await w.waitFor("m"))(), w.sleep(300)])],
    ["in Promise.all", (w) => w.race([Promise.all([w.waitFor("m"), w.run(a, 0)]), w.sleep(300)])],
  ])("an async branch that nobody can cancel is refused: %s", async (_what, race) => {
    const play = new Play(flow((_n, w) => race(w)));
    await play.start(0);
    if (play.run.slots.get(1)?.kind === "step") await play.cancelled(1, a);
    for (const slot of [1, 2]) if (!play.run.closed) await play.fired(slot);
    expect(last(play).error.cause).toMatchObject({ code: "UNTRACKED_BRANCH", message: expect.stringContaining('"m"') });
    expect(await play.replayed()).toBeUndefined();
  });

  it("an async branch that holds no wait for a signal may race, beside waits of others", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const before = w.waitFor("m").then((m) => m);
        await w.sleep(1);
        const won = await w.race([(async () => w.run(a, 0))(), w.sleep(300), w.waitFor("n")]);
        return [won, await before];
      }),
    );
    await play.start(0);
    await play.fired(1);
    await play.done(2, a, "A");
    await play.signal("m", "M");
    expect(last(play).output).toEqual(["A", "M"]);
  });

  it.each<[string, (w: W) => Promise<unknown>]>([
    ["promises", (w) => w.race([w.waitFor("m"), w.waitFor("n")])],
    ["derived promises", (w) => w.race([w.waitFor("m").then((x) => x), w.waitFor("n").then((x) => x)])],
    ["branches", async (w) => (await w.race({ m: () => w.waitFor("m"), n: () => w.waitFor("n") })).value],
    [
      "async branches",
      async (w) => (await w.race({ m: async () => await w.waitFor("m"), n: () => w.waitFor("n") })).value,
    ],
  ])("nor when both were there before: %s", async (_what, race) => {
    const play = new Play(
      flow(async (_n, w) => {
        await w.run(a, 0);
        return [await race(w), await race(w)];
      }),
    );
    await play.start(0);
    await play.signal("n", "N");
    await play.signal("m", "M");
    await play.done(1, a);
    expect(last(play).output.toSorted()).toEqual(["M", "N"]);
    expect(await play.replayed()).toBeUndefined();
  });

  it("one that was given back goes to the next wait, or to the next run segment, in its order", async () => {
    const play = new Play(
      flow(async (n, w) => {
        if (n === 2) return [await w.waitFor("m"), await w.waitFor("m")];
        await w.run(a, 0);
        void w.race([w.waitFor("m"), w.waitFor("m")]).catch(() => {});
        return w.continueAsNew(2);
      }),
    );
    await play.start(1);
    await play.signal("m", "one");
    await play.signal("m", "two");
    await play.done(1, a);
    expect(last(play).output).toEqual(["one", "two"]);
    expect(await play.replayed()).toBeUndefined();
    expect((await play.resumed()).run.fault).toBeUndefined();
  });
});

describe("named branches", () => {
  it("say which came first", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const first = await w.race({ m: () => w.waitFor("m"), tick: () => w.sleep("1s") });
        return first;
      }),
    );
    await play.start(0);
    await play.fired(1);
    expect(last(play).output).toEqual({ name: "tick", value: undefined });
  });

  it("that lose are cancelled as a whole, and what they ask for later is refused", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        const first = await w.race({
          work: async () => {
            await w.all([w.run(a, 0), w.run(b, 0)]).catch(() => {});
            await w.run(a, "never");
          },
          m: () => w.waitFor("m"),
        });
        return first.name;
      }),
    );
    await play.start(0);
    await play.signal("m");
    await play.cancelled(1, a);
    await play.cancelled(2, b);
    expect(play.spelled).toBe("a1 b2 +m !1,2 closing:completed completed");
    expect(last(play).output).toBe("m");
    expect(await play.replayed()).toBeUndefined();
  });

  it("of w.all give a record, and are cancelled as a whole when one fails", async () => {
    const both = new Play(flow((_n, w) => w.all({ a: () => w.run(a, 0), b: async () => w.run(b, 0), c: 3 })));
    await both.start(0);
    await both.done(2, b, "B");
    await both.done(1, a, "A");
    expect(last(both).output).toEqual({ a: "A", b: "B", c: 3 });
    const failed = new Play(
      flow((_n, w) =>
        w
          .all({
            a: () => w.run(a, 0),
            later: async () => {
              await w.sleep(1).catch(() => {});
              return w.run(b, 0);
            },
          })
          .catch(() => w.waitFor("m")),
      ),
    );
    await failed.start(0);
    await failed.failed(1, a);
    expect(failed.spelled).toBe("a1 t2 !2");
    await failed.signal("m", "end");
    expect(last(failed).output).toBe("end");
  });

  it("of w.allSettled give every outcome", async () => {
    const play = new Play(
      flow((_n, w) =>
        w.allSettled({
          a: () => w.run(a, 0),
          b: () => {
            throw new Error("at once");
          },
        }),
      ),
    );
    await play.start(0);
    await play.done(1, a, "A");
    expect(last(play).output).toMatchObject({ a: { value: "A" }, b: { status: "rejected" } });
  });
});

describe("w.waitFor", () => {
  it("with `where` takes only what it holds for; two that wait do not swap their answers", async () => {
    const ask = (w: W, id: string) => w.waitFor("m", { where: (answer) => answer.to === id });
    const play = new Play(
      flow(async (_n, w) => {
        const [x, y] = await w.all([ask(w, "x"), ask(w, "y")]);
        return [x.is, y.is, await w.waitFor("m")];
      }),
    );
    await play.start(0);
    await play.signal("m", { to: "y", is: 1 });
    await play.signal("m", { to: "z", is: 2 });
    await play.signal("m", { to: "x", is: 3 });
    expect(last(play).output).toEqual([3, 1, { to: "z", is: 2 }]);
    expect(await play.replayed()).toBeUndefined();
  });

  it("with `where` finds one that was kept", async () => {
    const play = new Play(
      flow(async (_n, w) => {
        await w.run(a, 0);
        return [await w.waitFor("m", { where: (n) => n > 1, timeout: "1h" }), await w.waitFor("m")];
      }),
    );
    await play.start(0);
    for (const n of [1, 2]) await play.signal("m", n);
    await play.done(1, a);
    expect(last(play).output).toEqual([2, 1]);
  });

  it.each<[string, (payload: any) => any, string]>([
    ["throws", (p) => p.no.such, "Cannot read properties"],
    ["is async", async () => true, "is async"],
    ["asks for something", () => Math.random() < 2, "w.random() would change"],
  ])("with a `where` that %s fails alone, and the signal goes to the next", async (_what, where, why) => {
    const play = new Play(
      flow((_n, w) =>
        w.allSettled([w.waitFor("m", { where }), w.waitFor("m")]).then(([x, y]) => [(x as any).reason?.message, y]),
      ),
    );
    await play.start(0);
    await play.signal("m", {});
    expect(last(play).output).toEqual([expect.stringContaining(why), { status: "fulfilled", value: {} }]);
    expect(await play.replayed()).toBeUndefined();
  });

  it('with `onTimeout: "throw"` tells a time-out from a signal without a payload', async () => {
    const wait = flow((_n, w) =>
      w.waitFor("go", { timeout: "1h", onTimeout: "throw" }).then(
        () => "went",
        (error) => [error.code, error.kind],
      ),
    );
    const inTime = new Play(wait);
    await inTime.start();
    await inTime.signal("go");
    expect(last(inTime).output).toBe("went");
    const late = new Play(wait);
    await late.start();
    await late.fired(1);
    expect(last(late).output).toEqual(["TIMEOUT", "signal"]);
    for (const play of [inTime, late]) expect(await play.replayed()).toBeUndefined();
  });

  it.each([{ where: "x" }, { onTimeout: "later" }])(
    "refuses options that it does not know: %j",
    async (options: any) => {
      const play = new Play(flow((_n, w) => w.waitFor("m", options)));
      await play.start(0);
      expect(last(play).error.cause.message).toMatch(/^Invalid (where|onTimeout) of w\.waitFor\(m\)/);
    },
  );
});
