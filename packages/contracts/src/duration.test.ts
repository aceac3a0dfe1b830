import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Duration, durationMs } from "./duration.ts";
import { MAX_DURATION_MS, MAX_SCHEDULE_MS } from "./limits.ts";

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
    Number.NEGATIVE_INFINITY,
    null,
    undefined,
    5n,
    Symbol("s"),
    {},
    ["1s"],
    new Date(0),
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
  ])("refuses %o and says how to write one", (text) =>
    expect(() => durationMs(text as Duration)).toThrow(
      /^Invalid duration .*\. Use a number of milliseconds, or a string/,
    ),
  );

  it.each([
    "36526d",
    "87000d",
    Number.MAX_SAFE_INTEGER,
    Number.MAX_VALUE,
    Number.POSITIVE_INFINITY,
    `${"9".repeat(400)}d`,
  ])("refuses %s, and says what is the longest", (long) =>
    expect(() => durationMs(long as Duration)).toThrow(
      /^Invalid duration .*\. Use at most "36525d", which is 100 years \(3155760000000 ms\)\.$/,
    ),
  );

  it("may be 100 years, and then ends before the clock of nats-server does", () => {
    expect(durationMs("36525d")).toBe(MAX_DURATION_MS);
    expect(Date.UTC(2100, 0, 1) + MAX_DURATION_MS).toBeLessThan(MAX_SCHEDULE_MS);
    expect(BigInt(MAX_SCHEDULE_MS) * 1_000_000n).toBeLessThan(2n ** 63n);
  });

  it("means the same in every unit", () =>
    fc.assert(
      fc.property(fc.nat(10_000), (n) => {
        expect(durationMs(`${n}s`)).toBe(durationMs(`${n * 1000}ms`));
        expect(durationMs(`${n}h`)).toBe(durationMs(`${n * 60}m`));
        expect(durationMs(`${n}d`)).toBe(durationMs(`${n * 24}h`));
      }),
    ));
});
