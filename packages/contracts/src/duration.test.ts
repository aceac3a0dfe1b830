import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Duration, durationMs } from "./duration.ts";

describe("a duration", () => {
  it.each<[Duration, number]>([
    [0, 0],
    [1.5, 1.5],
    ["0s", 0],
    ["250ms", 250],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["1.5h", 5_400_000],
    ["30d", 2_592_000_000],
  ])("%s is %d ms", (duration, ms) => expect(durationMs(duration)).toBe(ms));

  it.each([
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "",
    "5",
    "s",
    "-1s",
    "1 s",
    "1s ",
    "1.s",
    ".5s",
    "1e3s",
    "1w",
    "5M",
    "1h30m",
  ])("refuses %s and says how to write one", (text) =>
    expect(() => durationMs(text as Duration)).toThrow(/is no duration. Write milliseconds, or "250ms"/),
  );

  it("means the same in every unit", () =>
    fc.assert(
      fc.property(fc.nat(10_000), (n) => {
        expect(durationMs(`${n}s`)).toBe(durationMs(`${n * 1000}ms`));
        expect(durationMs(`${n}h`)).toBe(durationMs(`${n * 60}m`));
        expect(durationMs(`${n}d`)).toBe(durationMs(`${n * 24}h`));
      }),
    ));
});
