import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "./clock.ts";

const DAY_MS = 86_400_000;

describe("a wait of the real clock", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each([1, 24, 25, 49.71, 100, 36_525])("of %d days ends when it is over, and not before", async (days) => {
    const fired = vi.fn();
    systemClock.setTimeout(fired, days * DAY_MS);
    await vi.advanceTimersByTimeAsync(days * DAY_MS - 1);
    expect(fired).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(fired).toHaveBeenCalledOnce();
  });

  it("can be called off at any time", async () => {
    const fired = vi.fn();
    const handle = systemClock.setTimeout(fired, 100 * DAY_MS);
    await vi.advanceTimersByTimeAsync(60 * DAY_MS);
    systemClock.clearTimeout(handle);
    await vi.advanceTimersByTimeAsync(100 * DAY_MS);
    expect(fired).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
