import { retentionOf } from "@stepstream/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ends } from "./ends.ts";

const end = (seq: number, at = seq) => ({ seq, at });
const seqs = (ends: { seq: number }[]) => ends.map(({ seq }) => seq);

describe("the ends of runs", () => {
  it("go by age, the oldest first", () => {
    const ends = new Ends(retentionOf(["100ms"]));
    for (const seq of [10, 20, 30]) ends.add("order", "completed", end(seq));
    expect(seqs(ends.take(119, true, 10))).toEqual([10]);
    expect(seqs(ends.take(119, true, 10))).toEqual([]);
    expect(seqs(ends.take(200, true, 1))).toEqual([20]);
    expect(seqs(ends.take(200, true, 10))).toEqual([30]);
    expect(ends.size).toBe(0);
  });

  it("go by count, of each workflow and outcome, unless counts cannot be trusted", () => {
    const ends = new Ends(retentionOf(["2"]));
    for (const seq of [1, 2, 3]) ends.add("order", "completed", end(seq));
    for (const seq of [4, 5]) ends.add("order", "failed", end(seq));
    for (const seq of [6, 7, 8, 9]) ends.add("ship", "completed", end(seq));
    expect(seqs(ends.take(1_000, false, 10))).toEqual([]);
    expect(seqs(ends.take(1_000, true, 10))).toEqual([1, 6, 7]);
    expect(seqs(ends.take(1_000, true, 10))).toEqual([]);
  });

  it("go by whichever comes first, by the most specific rule, and stay where none is for them (D2)", () => {
    const ends = new Ends(retentionOf(["order=100ms,2", "order/failed=1000ms"]));
    expect(ends.add("ship", "completed", end(1))).toBe(false);
    for (const seq of [2, 3, 4]) expect(ends.add("order", "completed", end(seq))).toBe(true);
    ends.add("order", "failed", end(5));
    expect(ends.size).toBe(4);
    expect(seqs(ends.take(50, true, 10))).toEqual([2]);
    expect(seqs(ends.take(103, true, 10))).toEqual([3]);
    expect(seqs(ends.take(104, true, 10))).toEqual([4]);
    expect(seqs(ends.take(1_004, true, 10))).toEqual([]);
    expect(seqs(ends.take(1_005, true, 10))).toEqual([5]);
  });

  it("leave what is newer than the age and among the newest of the count, and nothing else (D1)", () => {
    const rule = fc.record({ age: fc.nat(50), count: fc.nat(20) });
    fc.assert(
      fc.property(rule, fc.array(fc.nat(3), { maxLength: 3_000 }), fc.nat(40), (rule, waits, limit) => {
        const ends = new Ends(retentionOf([`${rule.age}ms,${rule.count}`]));
        let at = 0;
        const all = waits.map((wait, index) => {
          at += wait;
          return end(index + 1, at);
        });
        for (const one of all) ends.add("order", "completed", one);
        const gone: number[] = [];
        for (let some = ends.take(at, true, limit + 1); some.length > 0; some = ends.take(at, true, limit + 1))
          gone.push(...seqs(some));
        const stays = all.slice(Math.max(0, all.length - rule.count)).filter((one) => one.at > at - rule.age);
        expect(gone).toEqual(seqs(all.slice(0, all.length - stays.length)));
      }),
    );
  });
});
