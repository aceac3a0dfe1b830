import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import * as contracts from "./index.ts";
import { InboxMessage, Name, RunStep } from "./index.ts";
import { quickCheck } from "./quick-check.ts";

const schemas = Object.entries(contracts as Record<string, unknown>).filter(
  (entry): entry is [string, z.ZodType] => entry[1] instanceof z.ZodType,
);
const COMPLETED = { v: 1, type: "StepCompleted", slot: 3, step: "pay", attempt: 1, output: { a: [1] }, after: 12 };
const STEP = {
  ...{ v: 1, type: "RunStep", run: "r1", workflow: "order", slot: 1, step: "pay", attempt: 1, idempotencyKey: "r1/1" },
  retry: { maxAttempts: 3, initialMs: 100, factor: 2, maxMs: 1_000, jitter: "full" },
  ...{ timeout: { attemptMs: 5 }, scheduledAt: 1, after: 1, input: [] },
};

/** A message with one field changed, added or taken away, now and then in a part of it. */
function changed(message: object, key: string, value: unknown): object {
  const copy: Record<string, unknown> = structuredClone(message) as Record<string, unknown>;
  if (value === undefined) delete copy[key];
  else copy[key] = value;
  return copy;
}

describe("a quick check", () => {
  it("takes the messages that are sent most, with and without what is optional", () => {
    expect(quickCheck(InboxMessage)(COMPLETED)).toBe(true);
    expect(quickCheck(InboxMessage)(changed(COMPLETED, "output", undefined))).toBe(true);
    expect(quickCheck(InboxMessage)({ v: 1, type: "TimerFired", slot: 1 })).toBe(true);
    expect(quickCheck(RunStep)(STEP)).toBe(true);
  });

  it("takes nothing that the schema does not take as it is (Q1)", () => {
    const odd = fc.constantFrom<unknown>(
      ...[0, -1, 1.5, 2 ** 53, Number.NaN, "", "x", "a.b", "__proto__", "StepFailed", "full", true, null, undefined],
      ...[[], {}, [1], { a: 1 }, "x".repeat(65), 1, 2, "pay"],
    );
    const key = fc.constantFrom(...Object.keys(COMPLETED), ...Object.keys(STEP), "__proto__", "unknown", "constructor");
    fc.assert(
      fc.property(fc.constantFrom<object>(COMPLETED, STEP, {}), key, odd, key, odd, (message, k1, v1, k2, v2) => {
        for (const value of [changed(changed(message, k1, v1), k2, v2), v1]) {
          for (const [name, schema] of schemas) {
            if (!quickCheck(schema)(value)) continue;
            const read = schema.safeParse(value);
            expect(read, name).toEqual({ success: true, data: value });
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("looks into parts: lists, objects, bounds and patterns", () => {
    const schema = z.object({
      list: z.array(z.object({ n: z.number().gt(1).max(5), name: Name.optional() })),
      flag: z.boolean().optional(),
    });
    const check = quickCheck(schema);
    expect(check({ list: [{ n: 5, name: "a" }, { n: 1.5 }] })).toBe(true);
    for (const list of [[{ n: 1 }], [{ n: 6 }], [{ n: 2, name: "a b" }], [{ n: 2, more: 1 }], {}, [null], [[]], "x"])
      expect(check({ list }), JSON.stringify(list)).toBe(false);
    expect(check({ list: [], flag: 1 })).toBe(false);
  });

  it("says nothing for schemas that change values or hold code", () => {
    const some: [z.ZodType, unknown][] = [
      [z.string().transform(Number), "1"],
      [z.string().default("x"), "1"],
      [z.object({ a: z.string().trim() }), { a: " " }],
      [z.object({ a: z.string() }).refine(() => false), { a: "x" }],
      [z.object({ a: z.number() }).loose(), { a: 1 }],
      [z.strictObject({ a: z.number() }), { a: 1 }],
      [z.union([z.string(), z.number()]), "x"],
      [z.string().regex(/a/g), "a"],
      [z.array(z.number()).min(1), []],
      [z.lazy(() => z.string()), "x"],
    ];
    for (const [schema, value] of some) expect(quickCheck(schema)(value)).toBe(false);
  });

  it("leaves a message to its schema where a part is too much for it", () => {
    const message = { v: 1, type: "StepFailed", slot: 1, step: "pay", attempt: 1, error: { name: "E", message: "no" } };
    expect(quickCheck(InboxMessage)({ ...COMPLETED, unknown: 1 })).toBe(false);
    expect(InboxMessage.parse({ ...COMPLETED, unknown: 1 })).toEqual(COMPLETED);
    expect(typeof quickCheck(InboxMessage)(message)).toBe("boolean");
  });
});
