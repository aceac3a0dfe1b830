import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Code, Namespace, partitionOf, RunId } from "./ids.ts";

describe("the partition of a run", () => {
  // Golden values, computed with Python: whoever changes the hash sends the messages of every live run to another consumer.
  it.each([
    ["order-1", 8, 5],
    ["order-2", 8, 4],
    ["r1", 8, 4],
    ["a", 8, 4],
    ["A_b-9", 16, 7],
    ["0193e7b2-0000-7000-8000-000000000000", 1024, 461],
  ])("of %s among %d is %d", (run, partitions, partition) => expect(partitionOf(run, partitions)).toBe(partition));

  it("is 32-bit FNV-1a", () => {
    // From the test vectors of the authors: http://www.isthe.com/chongo/src/fnv/test_fnv.c
    const whole = 2 ** 32;
    expect(partitionOf("", whole)).toBe(0x811c9dc5);
    expect(partitionOf("a", whole)).toBe(0xe40c292c);
    expect(partitionOf("foobar", whole)).toBe(0xbf9cf968);
  });

  it("is one of them, for any id", () =>
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), fc.integer({ min: 1, max: 1024 }), (run, partitions) => {
        const partition = partitionOf(run, partitions);
        expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
      }),
    ));

  it.each([
    ["numbered", (i: number) => `order-${i}`],
    ["dated", (i: number) => `2026-11-22-${String(i).padStart(6, "0")}`],
    ["random", (i: number) => `0193e7b2-${((i * 2654435761) >>> 0).toString(16).padStart(8, "0")}`],
  ])("is even over %s ids: no partition gets over 10 %% more than its share", (_kind, id) => {
    const [runs, partitions] = [40_000, 16];
    const counts = new Array<number>(partitions).fill(0);
    for (let i = 0; i < runs; i++) counts[partitionOf(id(i), partitions)]!++;
    expect(Math.max(...counts)).toBeLessThan((runs / partitions) * 1.1);
    expect(Math.min(...counts)).toBeGreaterThan((runs / partitions) * 0.9);
  });
});

describe("names that become a token of a subject", () => {
  it.each(["order-1", "A_b", "0", "x".repeat(64)])("may be %s", (id) => expect(RunId.safeParse(id).success).toBe(true));
  it.each(["", "a.b", "a b", "a*", ">", "a/b", "ü", "a\n", "x".repeat(65)])("may not be %j", (id) => {
    expect(RunId.safeParse(id).success).toBe(false);
    expect(Namespace.safeParse(id).success).toBe(false);
  });
  it("and a code begins with a letter", () => {
    expect(["TIMEOUT", "CardDeclined", "E42"].map((code) => Code.safeParse(code).success)).toEqual([true, true, true]);
    expect(["", "4", "A-B", "A B"].map((code) => Code.safeParse(code).success)).toEqual([false, false, false, false]);
  });
});
