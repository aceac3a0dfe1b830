import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  OUTCOMES,
  type RetentionRule,
  retentionOf,
  retentionRule,
  retentionRuleFor,
  retentionRuleText,
} from "./retention.ts";

describe("a retention rule", () => {
  it.each([
    ["30d", { ageMs: 2_592_000_000 }],
    ["1000", { count: 1_000 }],
    ["0", { count: 0 }],
    ["90m,5", { ageMs: 5_400_000, count: 5 }],
    ["5,90m", { ageMs: 5_400_000, count: 5 }],
    ["order=1d", { workflow: "order", ageMs: 86_400_000 }],
    ["*/failed=1d", { outcome: "failed", ageMs: 86_400_000 }],
    ["order/completed=250ms", { workflow: "order", outcome: "completed", ageMs: 250 }],
  ])("%s is read", (text, rule) => expect(retentionRule(text)).toEqual(rule));

  it.each([
    "",
    "=",
    "order",
    "order=",
    "5x",
    "-1d",
    "1d,2d",
    "1,2",
    "a/b/c=1d",
    "*/lost=1d",
    "or der=1d",
    "a=b=1d",
    "1.5",
  ])('"%s" is refused with what is allowed', (text) =>
    expect(() => retentionRule(text)).toThrow(/^Invalid retention rule ".*"\. Use <workflow>\/<outcome>=/),
  );

  it("reads what it writes", () => {
    const rule = fc.record(
      {
        workflow: fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/),
        outcome: fc.constantFrom(...OUTCOMES),
        ageMs: fc.nat(3_155_760_000_000),
        count: fc.nat(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        rule.filter(({ ageMs, count }) => ageMs !== undefined || count !== undefined),
        (one: RetentionRule) => {
          expect(retentionRule(retentionRuleText(one))).toEqual({ ...one });
        },
      ),
    );
  });
});

describe("of several rules", () => {
  const policy = retentionOf(["*=1d", "*/failed=2d", "order=3d", "order/failed=4d"]);

  it.each([
    ["ship", "completed", 1],
    ["ship", "failed", 2],
    ["order", "completed", 3],
    ["order", "failed", 4],
  ] as const)("the most specific counts: %s/%s", (workflow, outcome, days) =>
    expect(retentionRuleFor(policy, workflow, outcome)?.ageMs).toBe(days * 86_400_000),
  );

  it("none may be the one, and then runs are kept", () =>
    expect(retentionRuleFor(retentionOf(["order=1d"]), "ship", "failed")).toBeUndefined());

  it("two for the same runs are refused", () =>
    expect(() => retentionOf(["1d", "*/*=2d"])).toThrow("one rule for */*"));
});
