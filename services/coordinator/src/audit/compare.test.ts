import { DEADLINE } from "@stepstream/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { leftover, missing, OVERDUE_MS } from "./compare.ts";
import type { Need } from "./needs.ts";

const now = 1_000_000;
const when = { now, shortTimerMs: 3_000 };
const stored = (commands: number[], timers: number[] = []) => ({
  commands: new Set(commands),
  timers: new Set(timers),
});
const command: Need = { kind: "command", slot: 1, step: "pay" };
const child: Need = { kind: "child", slot: 3, run: "kid" };
const cancel: Need = { kind: "cancel", slot: 4, step: "pay" };
const timer = (inMs: number | undefined): Need => ({
  kind: "timer",
  slot: 2,
  timer: 2,
  at: inMs === undefined ? undefined : now + inMs,
});

describe("a command is missing", () => {
  it("if a worker will not get it", () => {
    expect(missing([command], stored([1]), when)).toEqual([]);
    expect(missing([command], stored([2], [1]), when)).toEqual([command]);
  });
});

describe("a timer is missing", () => {
  it.each<[string, number | undefined, boolean, boolean]>([
    ["not if it is listed", 60_000, true, false],
    ["if it is not, and is far away", 60_000, false, true],
    ["not if a coordinator may keep it in memory", 2_900, false, false],
    ["not if it has just fired", -100, false, false],
    ["if it should have fired long ago, and is not listed", -OVERDUE_MS - 1, false, true],
    ["if it should have fired long ago, though it is listed", -OVERDUE_MS - 1, true, true],
    ["if its time is not known, and it is not listed", undefined, false, true],
  ])("%s", (_sentence, inMs, isListed, isMissing) => {
    const found = missing([timer(inMs)], stored([], isListed ? [2] : []), when);
    expect(found.length > 0).toBe(isMissing);
  });
});

describe("others", () => {
  it("a child is missing if it is over or was not started, and not if that is not known", () => {
    const of = (state?: "unstarted" | "running" | "over") =>
      missing([child], stored([]), when, new Map(state ? [["kid", state]] : [])).length;
    expect([of(), of("running"), of("over"), of("unstarted")]).toEqual([0, 0, 1, 1]);
  });

  it("the end of a step that is being cancelled is missing if no coordinator sees to it and no timer is stored", () => {
    expect(missing([cancel], stored([]), when)).toEqual([]);
    expect(missing([cancel], stored([]), { ...when, isCold: true })).toEqual([cancel]);
    expect(missing([cancel], stored([], [4]), { ...when, isCold: true })).toEqual([]);
  });
});

describe("what is left over", () => {
  it("is what belongs to no open slot", () => {
    expect(leftover([command, timer(9)], stored([1, 5], [1, 1 + DEADLINE, 2, 6, 6 + DEADLINE]))).toEqual(
      stored([5], [6, 6 + DEADLINE]),
    );
  });

  it("nothing of an open slot is left over, whatever is stored", () => {
    const slots = fc.array(fc.integer({ min: 1, max: 20 }));
    fc.assert(
      fc.property(slots, slots, slots, (open, commands, timers) => {
        const needs = open.map((slot): Need => ({ kind: "command", slot, step: "pay" }));
        const rest = leftover(needs, stored(commands, [...timers, ...timers.map((slot) => slot + DEADLINE)]));
        const slotsLeft = [
          ...rest.commands.keys(),
          ...[...rest.timers.keys()].map((n) => (n > DEADLINE ? n - DEADLINE : n)),
        ];
        expect(slotsLeft.filter((slot) => open.includes(slot))).toEqual([]);
        expect(rest.commands).toEqual(new Set(commands.filter((slot) => !open.includes(slot))));
      }),
    );
  });
});
