import type { Clock } from "@stepstream/event-log";
import { describe, expect, it } from "vitest";
import { Poll } from "./poll.ts";

/** Timers that a test fires. */
function handClock() {
  const timers = new Map<number, () => void>();
  let count = 0;
  const clock: Clock = {
    now: () => 0,
    random: () => 0.5,
    setTimeout(fn) {
      timers.set(++count, fn);
      return count;
    },
    clearTimeout: (handle) => void timers.delete(handle as number),
  };
  const fire = async () => {
    const due = [...timers.values()];
    timers.clear();
    for (const fn of due) fn();
    await settled();
  };
  return { clock, timers, fire };
}

const settled = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

describe("looks", () => {
  it("are one at a time, and one more after those that were asked for meanwhile", async () => {
    const { clock } = handClock();
    const looks: (() => void)[] = [];
    const poll = new Poll(
      clock,
      () => new Promise<void>((resolve) => looks.push(resolve)),
      () => expect.fail("failed"),
    );
    poll.now();
    poll.now();
    poll.now();
    expect(looks).toHaveLength(1);
    looks[0]!();
    await settled();
    expect(looks).toHaveLength(2);
    looks[1]!();
    await settled();
    expect(looks).toHaveLength(2);
  });

  it("that fail are repeated by one retry, whoever else asks; that ask for another, by one timer", async () => {
    const { clock, timers, fire } = handClock();
    let failing = true;
    let looks = 0;
    const failures: unknown[] = [];
    const poll = new Poll(
      clock,
      async () => {
        looks++;
        if (failing) throw new Error("away");
        return 1_000;
      },
      (error) => failures.push(error),
    );
    for (let asked = 0; asked < 5; asked++) {
      poll.now();
      await settled();
    }
    expect([looks, failures.length, timers.size]).toEqual([5, 5, 1]);
    failing = false;
    await fire();
    expect([looks, timers.size]).toEqual([6, 1]);
    poll.now();
    await settled();
    expect([looks, timers.size]).toEqual([7, 1]);
    poll.stop();
    expect(timers.size).toBe(0);
  });
});
