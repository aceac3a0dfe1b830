import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { missing, NOTHING, OVERDUE_MS } from "./compare.ts";
import { expectedOf, NOTHING_EXPECTED } from "./expected.ts";
import type { Need } from "./needs.ts";

const now = 1_000_000;
const when = { now, shortTimerMs: 3_000 };
const command = (slot: number): Need => ({ kind: "command", slot, step: "pay" });
const timer = (slot: number, at: number | undefined): Need => ({ kind: "timer", slot, timer: slot, at });
const expected = (...needs: Need[]) => {
  const sum = { ...NOTHING_EXPECTED };
  expectedOf(needs, when, sum);
  return sum;
};

describe("what must be stored of a run", () => {
  it.each<[string, Need[], { commands: number; timers: number; overdue: number }]>([
    ["is nothing of one that waits for nothing", [], { commands: 0, timers: 0, overdue: 0 }],
    ["is a command for each step", [command(1), command(2)], { commands: 2, timers: 0, overdue: 0 }],
    [
      "is a timer that is far away, or of unknown time",
      [timer(1, now + 3_001), timer(2, undefined)],
      { commands: 0, timers: 2, overdue: 0 },
    ],
    [
      "is no timer that may be kept in memory, or has just fired",
      [timer(1, now + 3_000), timer(2, now)],
      { commands: 0, timers: 0, overdue: 0 },
    ],
    [
      "is overdue where a timer should have fired",
      [timer(1, now - OVERDUE_MS - 1)],
      { commands: 0, timers: 0, overdue: 1 },
    ],
    [
      "is nothing that can be counted of a child, or of a step that is being cancelled",
      [
        { kind: "child", slot: 1, run: "kid" },
        { kind: "cancel", slot: 2, step: "pay" },
      ],
      { commands: 0, timers: 0, overdue: 0 },
    ],
  ])("%s", (_sentence, needs, sum) => expect(expected(...needs)).toEqual(sum));

  it("counts as short whatever is missing (X1)", () => {
    const at = fc.option(fc.integer({ min: now - 20_000, max: now + 20_000 }), { nil: undefined });
    const need = fc.oneof(fc.constant("command" as const), at);
    fc.assert(
      fc.property(fc.array(need, { maxLength: 6 }), fc.infiniteStream(fc.boolean()), (drawn, isStored) => {
        const needs = drawn.map((one, i) => (one === "command" ? command(i + 1) : timer(i + 1, one)));
        const commands = new Set<number>();
        const timers = new Set<number>();
        for (const { kind, slot } of needs)
          if (isStored.next().value) (kind === "command" ? commands : timers).add(slot);
        const sum = expected(...needs);
        const isShort = commands.size < sum.commands || timers.size < sum.timers || sum.overdue > 0;
        // Timers that may be kept in memory, and are stored all the same, may hide others.
        const extra = needs.some(
          (n) => n.kind === "timer" && timers.has(n.slot) && n.at !== undefined && n.at <= now + 3_000,
        );
        if (missing(needs, { commands, timers }, when).length > 0 && !extra) expect(isShort).toBe(true);
      }),
    );
    expect(missing([], NOTHING, when)).toEqual([]);
  });
});
