import { describe, expect, it } from "vitest";
import type { Clock } from "./clock.ts";
import { Backoff, Retry } from "./retry.ts";

/** Time that passes by hand. */
class HandClock implements Clock {
  time = 0;
  draw = 0;
  timers: { at: number; fn: () => void }[] = [];
  now = () => this.time;
  random = () => this.draw;
  setTimeout = (fn: () => void, ms: number) => {
    const timer = { at: this.time + ms, fn };
    this.timers.push(timer);
    return timer;
  };
  clearTimeout = (handle: unknown) => {
    this.timers = this.timers.filter((timer) => timer !== handle);
  };
  pass(ms: number) {
    this.time += ms;
    const due = this.timers.filter(({ at }) => at <= this.time);
    this.timers = this.timers.filter(({ at }) => at > this.time);
    for (const { fn } of due) fn();
  }
}

describe("the waits between tries", () => {
  it("double up to the longest, and half of each is random", () => {
    const clock = new HandClock();
    const waits = () => {
      const backoff = new Backoff(clock, { firstMs: 100, longestMs: 1_000 });
      return Array.from({ length: 6 }, () => backoff.next());
    };
    clock.draw = 0;
    expect(waits()).toEqual([50, 100, 200, 400, 500, 500]);
    clock.draw = 0.999;
    expect(waits()).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it("begin again after a success", () => {
    const backoff = new Backoff(new HandClock(), { firstMs: 100 });
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.next()).toBe(50);
  });
});

describe("a retry", () => {
  it("is pending once, however often it is asked for, also by what it does", () => {
    const clock = new HandClock();
    let tries = 0;
    const retry: Retry = new Retry(clock, () => {
      tries++;
      for (let failed = 0; failed < 8; failed++) retry.schedule();
    });
    for (let failed = 0; failed < 8; failed++) retry.schedule();
    expect(clock.timers).toHaveLength(1);
    for (let second = 0; second < 10; second++) {
      clock.pass(1_000);
      expect(clock.timers).toHaveLength(1);
    }
    expect(tries).toBe(10);
  });

  it("is dropped by a success, and for good by a stop", () => {
    const clock = new HandClock();
    const retry = new Retry(clock, () => expect.fail("was tried"));
    retry.schedule();
    retry.done();
    expect(retry.pending).toBe(false);
    retry.schedule();
    retry.stop();
    retry.schedule();
    clock.pass(10_000);
  });
});
