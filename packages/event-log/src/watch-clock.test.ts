import { describe, expect, it } from "vitest";
import { watchClock } from "./watch-clock.ts";

/** A machine whose clock is `aheadMs` ahead of the server's. */
function machine() {
  const timers: { fn: () => void; at: number }[] = [];
  const world = { now: 1_000_000, aheadMs: 0 };
  const told: number[] = [];
  const clock = {
    now: () => world.now,
    wall: () => world.now + world.aheadMs,
    random: () => 0,
    setTimeout: (fn: () => void, ms: number) => timers.push({ fn, at: world.now + ms }),
    clearTimeout: () => timers.splice(0),
  };
  const watch = watchClock({ serverNow: () => world.now }, clock, (aheadMs) => told.push(aheadMs));
  const pass = (aheadMs: number) => {
    world.aheadMs = aheadMs;
    const [timer] = timers.splice(0);
    world.now = timer!.at;
    timer!.fn();
  };
  return { pass, told, watch, timers };
}

describe("the watch of a machine's clock", () => {
  it("tells that it is wrong once, again where it gets worse, and when it is right again", () => {
    const { pass, told, watch, timers } = machine();
    for (const aheadMs of [0, 999, -120_000, -120_400, -119_100, 5_000, 5_000, 200, 0]) pass(aheadMs);
    expect(told).toEqual([-120_000, 5_000, 0]);
    watch.stop();
    expect(timers).toEqual([]);
  });

  it("looks every 10 s", () => {
    const { timers } = machine();
    expect(timers.map(({ at }) => at)).toEqual([1_010_000]);
  });
});
