import { describe, expect, it } from "vitest";
import { Chance } from "./chance.ts";
import { countedMacrotask, VirtualClock } from "./clock.ts";

const never = () => false;

describe("virtual time", () => {
  it("fires timers by time, and those of one time in the order they were set in (V1)", async () => {
    const clock = new VirtualClock(Math.random, 0);
    const fired: string[] = [];
    for (const [name, ms] of [
      ["c", 20],
      ["a", 10],
      ["d", 20],
      ["b", 10.5],
      ["now", 0],
      ["past", -5],
    ] as const)
      clock.setTimeout(() => fired.push(`${name}@${clock.now()}`), ms);
    await clock.run(never, 100);
    expect(fired).toEqual(["now@0", "past@0", "a@10", "b@10", "c@20", "d@20"]);
  });

  it("fires none that was cleared, however often it is cleared", async () => {
    const clock = new VirtualClock(Math.random, 0);
    let fired = 0;
    const handle = clock.setTimeout(() => fired++, 5);
    clock.setTimeout(() => clock.clearTimeout(handle), 1);
    clock.clearTimeout(undefined);
    await clock.run(never, 100);
    clock.clearTimeout(handle);
    expect(fired).toBe(0);
  });

  it("passes only when what follows from a timer is over: microtasks and macrotasks, counted or not (V2)", async () => {
    const clock = new VirtualClock(Math.random, 0);
    const seen: string[] = [];
    const see = (what: string) => seen.push(`${what}@${clock.now()}`);
    clock.setTimeout(async () => {
      for (let i = 0; i < 100; i++) await undefined;
      see("microtasks");
      await new Promise((resolve) => setImmediate(resolve));
      see("uncounted");
      for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => countedMacrotask(resolve));
      see("counted");
      await new Promise((resolve) => setImmediate(resolve));
      see("uncounted");
    }, 1);
    clock.setTimeout(() => see("next"), 2);
    await clock.run(never, 100);
    expect(seen).toEqual(["microtasks@1", "uncounted@1", "counted@1", "uncounted@1", "next@2"]);
  });

  it("asks the hook it is given whether everything has settled", async () => {
    let asked = 0;
    const clock = new VirtualClock(Math.random, 0, async () => void asked++);
    for (const ms of [1, 2, 3]) clock.setTimeout(() => {}, ms);
    await clock.run(never, 100);
    expect(asked).toBe(4);
  });

  it("stops when told, at its limit, or when nothing is left, and goes on from there", async () => {
    const clock = new VirtualClock(Math.random, 0);
    const fired: number[] = [];
    for (const ms of [10, 20, 30]) clock.setTimeout(() => fired.push(clock.now()), ms);
    expect(await clock.run(() => fired.length === 1, 100)).toBe(true);
    expect(await clock.run(never, 15)).toBe(false);
    expect([fired, clock.now()]).toEqual([[10, 20], 25]);
    expect(await clock.run(never, 1_000)).toBe(false);
    expect([fired, clock.now()]).toEqual([[10, 20, 30], 30]);
  });

  it("leaps over what is only housekeeping, which then comes late and in its order; what drifts does not come nearer (V5)", async () => {
    const clock = new VirtualClock(Math.random, 0);
    const fired: string[] = [];
    const note = (name: string) => () => fired.push(`${name}@${clock.now()}`);
    clock.setTimeout(note("b"), 20);
    clock.setTimeout(note("a"), 10);
    clock.setDrifting(note("drifting"), 30);
    clock.setTimeout(note("far"), 1_000);
    let leaps = 0;
    clock.onPassing = (nextAt) => {
      expect(nextAt).toBeGreaterThan(clock.now());
      if (++leaps === 1) clock.leap(900);
    };
    // The limit is of time that is lived through.
    expect(await clock.run(() => fired.length === 4, 100)).toBe(true);
    expect(fired).toEqual(["a@900", "b@900", "drifting@930", "far@1000"]);
    clock.leap(-5);
    expect(clock.now()).toBe(1_000);
  });

  it("is in whole milliseconds, while what is finer adds up (V3)", async () => {
    const clock = new VirtualClock(Math.random, 0);
    let ticks = 0;
    const tick = () => {
      expect(Number.isInteger(clock.now())).toBe(true);
      if (++ticks < 10) clock.setTimeout(tick, 0.3);
    };
    clock.setTimeout(tick, 0.3);
    await clock.run(never, 100);
    // Ten times 0.3 ms; rounding each of them would have made 0 or 10.
    expect(clock.now()).toBeGreaterThanOrEqual(2);
    expect(clock.now()).toBeLessThanOrEqual(3);
  });
});

describe("chance", () => {
  it("is the same for the same seed, and another for another", () => {
    const draws = (seed: number) => {
      const chance = new Chance(seed);
      return Array.from({ length: 20 }, chance.next);
    };
    expect(draws(7)).toEqual(draws(7));
    expect(draws(7)).not.toEqual(draws(8));
  });

  it("is spread as it says", () => {
    const chance = new Chance(1);
    const many = 20_000;
    const mean = (draw: () => number) => Array.from({ length: many }, draw).reduce((a, b) => a + b, 0) / many;
    expect(mean(chance.next)).toBeCloseTo(0.5, 1);
    expect(mean(() => (chance.is(0.2) ? 1 : 0))).toBeCloseTo(0.2, 1);
    expect(mean(() => chance.exponential(30)) / 30).toBeCloseTo(1, 1);
    expect(new Set(Array.from({ length: 200 }, () => chance.int(3)))).toEqual(new Set([0, 1, 2]));
    expect(new Set(Array.from({ length: 200 }, () => chance.pick("abc".split(""))))).toEqual(new Set(["a", "b", "c"]));
  });
});
