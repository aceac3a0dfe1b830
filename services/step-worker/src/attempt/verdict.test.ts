import { DeclaredError, InvalidInputError, InvalidOutputError, TimeoutError } from "@stepstream/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FailedAttempt, judge, type Policy, QUEUE_WAIT_MAX_MS, type Verdict } from "./verdict.ts";

const policy: Policy = {
  run: "r",
  step: "s",
  slot: 1,
  retry: { maxAttempts: 5, initialMs: 100, factor: 2, maxMs: 10_000, jitter: "none" },
  timeout: { totalMs: 60_000 },
  scheduledAt: 1_000,
};
const spell = (verdict: Verdict) =>
  verdict.next === "retry"
    ? `again in ${verdict.delayMs} by ${verdict.via}`
    : `fails with ${(verdict.error as Error).name}`;
const after = (error: unknown, more: Partial<FailedAttempt> = {}, policyOf: Partial<Policy> = {}) =>
  spell(judge({ error, attempt: 1, now: 2_000, draw: 0.5, ...more }, { ...policy, ...policyOf }));

const never = Object.assign(new Error("no"), { retry: "never" });
const no = () => false;
const yes = () => true;
const asynchronous = (async () => {
  throw new Error("never seen");
}) as unknown as () => boolean;
const broken = () => {
  throw new Error("bug");
};
const patient: Partial<Policy> = {
  retry: { ...policy.retry, initialMs: QUEUE_WAIT_MAX_MS + 1, maxMs: 1e9 },
  timeout: {},
};

describe("after a failed attempt of a step with five attempts in a minute", () => {
  it.each<[string, string, string]>([
    ["an error is tried again", after(new Error()), "again in 100 by queue"],
    ["the wait doubles", after(new Error(), { attempt: 3 }), "again in 400 by queue"],
    ["the last attempt is the last", after(new Error("x"), { attempt: 5 }), "fails with Error"],
    ["a declared error is final (V1)", after(new DeclaredError("Declined", {})), "fails with DeclaredError"],
    ['an error that says "never" is final (V1)', after(never), "fails with Error"],
    ["an input that does not fit is final", after(new InvalidInputError("s", "", "")), "fails with InvalidInputError"],
    ["an output that does not fit is tried again", after(new InvalidOutputError("s", "", "")), "again in 100 by queue"],
    ["a slow attempt is tried again", after(new TimeoutError("attempt", 9)), "again in 100 by queue"],
    ["a silent attempt is tried again", after(new TimeoutError("heartbeat", 9)), "again in 100 by queue"],
    ["the total time-out is final", after(new TimeoutError("total", 9)), "fails with TimeoutError"],
    ["the step may say no", after(new Error(), { retryIf: no }), "fails with Error"],
    ["the step may say yes", after(new Error(), { retryIf: yes }), "again in 100 by queue"],
    ["but not to a final error", after(never, { retryIf: yes }), "fails with Error"],
    ["a predicate that is async is refused", after(new Error("x"), { retryIf: asynchronous }), "fails with TypeError"],
    ["a predicate that throws says no", after(new Error("x"), { retryIf: broken }), "fails with Error"],
    ["what is thrown need not be an error", after("text"), "again in 100 by queue"],
    ["nor an object", after(undefined), "again in 100 by queue"],
    [
      "a wait that ends after the total is not waited (V3)",
      after(new Error(), { now: 60_900 }),
      "fails with TimeoutError",
    ],
    ["one that ends just before it is", after(new Error(), { now: 60_899 }), "again in 100 by queue"],
    ["a wait of over a minute goes through the inbox (V4)", after(new Error(), {}, patient), "again in 60001 by inbox"],
  ])("%s", (_sentence, got, expected) => expect(got).toBe(expected));

  it("keeps what the attempt threw as the cause of running out of time", () => {
    const error = new Error("flaky");
    const verdict = judge({ error, attempt: 2, now: 60_999, draw: 0 }, policy);
    expect(verdict).toMatchObject({ next: "fail", error: { kind: "total", cause: error } });
  });
});

describe("whatever the policy, the error and the hour", () => {
  const retry = fc.record({
    maxAttempts: fc.integer({ min: 1, max: 20 }),
    initialMs: fc.integer({ min: 0, max: 100_000 }),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    maxMs: fc.integer({ min: 0, max: 200_000 }),
    jitter: fc.constantFrom("full" as const, "equal" as const, "none" as const),
  });
  const case_ = fc.record({
    retry,
    totalMs: fc.option(fc.integer({ min: 1, max: 500_000 }), { nil: undefined }),
    attempt: fc.integer({ min: 1, max: 25 }),
    ageMs: fc.integer({ min: 0, max: 600_000 }),
    draw: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });

  it("a wait is within its bounds, ends before the total, and belongs to an attempt there is (V2, V3, V4)", () => {
    fc.assert(
      fc.property(case_, ({ retry, totalMs, attempt, ageMs, draw }) => {
        const at = { ...policy, retry, timeout: totalMs === undefined ? {} : { totalMs } };
        const now = at.scheduledAt + ageMs;
        const verdict = judge({ error: new Error("x"), attempt, now, draw }, at);
        if (verdict.next === "fail") return;
        expect(attempt).toBeLessThan(retry.maxAttempts);
        const ceiling = Math.min(retry.maxMs, retry.initialMs * retry.factor ** (attempt - 1));
        const least = { full: 0, equal: ceiling / 2, none: ceiling }[retry.jitter];
        expect(verdict.delayMs).toBeGreaterThanOrEqual(Math.floor(least));
        expect(verdict.delayMs).toBeLessThanOrEqual(ceiling);
        if (totalMs !== undefined) expect(now + verdict.delayMs).toBeLessThan(at.scheduledAt + totalMs);
        expect(verdict.via).toBe(verdict.delayMs > QUEUE_WAIT_MAX_MS ? "inbox" : "queue");
      }),
    );
  });
});
