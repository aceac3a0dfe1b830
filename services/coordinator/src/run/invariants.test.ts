import { InvariantError, MAX_SLOT, type RunEvent } from "@stepstream/contracts";
import { step, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";
import { Scope } from "./scope.ts";

const add = step("add", { input: z.any(), output: z.any() });
const any = { input: z.any(), output: z.any() };
const two = workflow("two", any, async (_, w) => {
  await w.run(add, 1).catch(() => 0);
  return w.run(add, 2);
});

async function begun(): Promise<Play> {
  const play = new Play(two);
  await play.start();
  return play;
}
const done = { v: 1, type: "StepCompleted", slot: 1, step: "add", attempt: 1, output: 1 } as const;

describe("a run whose slot numbers are used up", () => {
  it.each([MAX_SLOT, MAX_SLOT - 1])(
    "is parked with that (%d used before), and decides nothing for a slot beyond",
    async (slots) => {
      const play = new Play(two);
      const decided = await play.start(undefined, { slots });
      if (slots < MAX_SLOT) await play.done(MAX_SLOT, add, 1);
      expect(play.run.fault).toMatchObject({
        code: "STALLED",
        message: expect.stringContaining("the last slot, 2147483647"),
      });
      expect(decided.map((event) => "slot" in event && event.slot)).toEqual(slots < MAX_SLOT ? [MAX_SLOT] : []);
    },
  );
});

describe("a promise of the core that does not hold", () => {
  it.each<[promise: string, breaks: (play: Play) => void]>([
    ["run R1", ({ run }) => void run.openSlots++],
    ["run R1", ({ run }) => void run.openSlots--],
    ["slot R1", ({ run }) => void run.lastSlot--],
    ["run R4", ({ run }) => run.resume({ type: "RunContinued", after: 1, at: 1, start: run.started! })],
    ["run R2", ({ run }) => run.recorder.decide({ type: "RunCompleted" } as RunEvent)],
    ["run R1", ({ run }) => void run.slots.delete(1)],
  ])("%s is the fault of its run: nothing more is decided", async (promise, breaks) => {
    const [play, other] = [await begun(), await begun()];
    breaks(play);
    const decided = await play.send(done);
    expect(decided).toEqual([]);
    expect(play.run.fault).toBeInstanceOf(InvariantError);
    expect(play.run.fault!.message).toMatch(`Promise "${promise}" does not hold for run r1`);
    expect(await play.cancel()).toEqual([]);
    await other.done(1, add, 1);
    await other.done(2, add, 2);
    expect(other.spelled).toBe("add1 add2 completed");
  });

  it("is not hidden by workflow code that catches everything", async () => {
    const deaf = workflow("deaf", any, async (_, w) => {
      await w.run(add, 1);
      try {
        await w.run(add, 2);
      } catch {
        return "fine";
      }
      return "done";
    });
    const play = new Play(deaf);
    await play.start();
    play.run.lastSlot = 0;
    expect(await play.done(1, add)).toEqual([]);
    expect(play.run.fault).toMatchObject({ code: "INVARIANT_VIOLATED", detail: { promise: "slot R1", slot: 1 } });
  });

  it("is thrown where work is asked for in a cancelled scope", async () => {
    const scope = new Scope();
    scope.mark(new Error("cancelled by hand"));
    let thrown: unknown;
    const probe: Play = new Play(
      workflow("probe", any, async () => {
        try {
          probe.run.openTimer(5_000_000, undefined, scope);
        } catch (error) {
          thrown = error;
        }
      }),
    );
    expect(await probe.start()).toEqual([]);
    expect(thrown).toMatchObject({ code: "INVARIANT_VIOLATED", detail: { promise: "scope C1", slot: 1 } });
    expect(probe.run.fault).toBe(thrown);
  });

  it("names promise, run and slot when a slot ends twice", async () => {
    const { run } = await begun();
    const slot = run.slots.get(1)!;
    run.settle(slot, undefined, 1);
    expect(() => run.settle(slot)).toThrow('Promise "slot R1" does not hold for run r1, slot 1: it has an outcome');
  });
});

describe("a scope with a time-out inside a cancelled one", () => {
  it("leaves the work of others alone when it ends", async () => {
    const shielded = workflow("shielded", any, async (_, w) => {
      const kept = w.uncancellable(() => w.run(add, 1));
      const outer = w.scope(async () => {
        await w.sleep("1h").catch(() => {});
        const last = w.uncancellable(() => w.run(add, 2));
        await w.scope(async () => 1, { timeout: "1m" });
        await last;
      });
      outer.cancel();
      await outer;
      return kept;
    });
    const play = new Play(shielded);
    await play.start();
    expect(play.spelled).toBe("add1 t2 !2 add3");
  });
});
