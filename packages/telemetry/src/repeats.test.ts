import { describe, expect, it } from "vitest";
import { Repeats } from "./repeats.ts";

describe("repeated warnings", () => {
  it("are let through once in 10 s, with how many were held back (R1)", () => {
    const repeats = new Repeats();
    const at = (ms: number, key = "a") => repeats.admit(key, ms);
    expect([at(0), at(1), at(9_999), at(0, "b"), at(10_000), at(10_001), at(30_000)]).toEqual([
      ...[0, undefined, undefined, 0, 2, undefined, 1],
    ]);
  });

  it("of many kinds at a time are few, and kept in little memory (R2)", () => {
    const repeats = new Repeats();
    const admitted = Array.from({ length: 10_000 }, (_, i) => repeats.admit(`${i}`, i / 10)).filter(
      (held) => held !== undefined,
    );
    expect(admitted.length).toBeLessThanOrEqual(51);
    expect(repeats.admit("later", 60_000)).toBe(0);
  });
});
