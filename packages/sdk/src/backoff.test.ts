import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, exponential, fixed } from "./backoff.ts";

describe("the wait before trying again", () => {
  it.each([
    ["none", [100, 200, 400, 800, 1_000, 1_000]],
    ["full", [50, 100, 200, 400, 500, 500]],
    ["equal", [75, 150, 300, 600, 750, 750]],
  ] as const)("doubles up to its maximum, with jitter %s at an even draw", (jitter, waits) => {
    const backoff = exponential({ initial: 100, max: "1s", jitter });
    expect(waits.map((_, i) => backoffMs(i + 1, backoff, 0.5))).toEqual(waits);
  });

  it("is the same each time where it is fixed", () => {
    expect([1, 2, 9].map((failed) => backoffMs(failed, fixed("2s"), 0.9))).toEqual([2_000, 2_000, 2_000]);
  });

  it("is whole milliseconds within its bounds, after however many failures and for whatever draw", () => {
    const jitter = fc.constantFrom("full", "equal", "none");
    const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), draw, jitter, (failed, draw, jitter) => {
        const wait = backoffMs(failed, exponential({ initial: "200ms", max: "30s", jitter }), draw);
        expect(Number.isInteger(wait)).toBe(true);
        expect(wait).toBeGreaterThanOrEqual(jitter === "full" ? 0 : 100);
        expect(wait).toBeLessThanOrEqual(30_000);
      }),
    );
  });

  it("refuses what makes no sense", () => {
    expect(() => exponential({ factor: 0.5 })).toThrow(RangeError);
    expect(() => backoffMs(0, fixed(1), 0)).toThrow(RangeError);
    expect(() => backoffMs(1, fixed(1), 1)).toThrow(RangeError);
  });
});
