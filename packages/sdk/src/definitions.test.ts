import { describe, expect, it } from "vitest";
import { z } from "zod";
import { exponential } from "./backoff.ts";
import { step } from "./step.ts";
import { workflow } from "./workflow.ts";

const any = { input: z.any(), output: z.any() };

describe("a step's definition", () => {
  it("waits for nothing for ever, if it says nothing else", () => {
    const { retry, timeout, concurrency, heartbeatMs, breaker } = step("s", any);
    expect(timeout).toEqual({ attemptMs: 300_000, totalMs: 86_400_000 });
    expect(retry).toEqual({ maxAttempts: 5, initialMs: 200, factor: 2, maxMs: 30_000, jitter: "full" });
    expect({ concurrency, heartbeatMs, breaker }).toEqual({
      concurrency: 50,
      heartbeatMs: undefined,
      breaker: undefined,
    });
  });

  it("takes durations with units, and names its breaker after itself", () => {
    const { retry, timeout, heartbeatMs, breaker } = step("s", {
      ...any,
      retry: { maxAttempts: 2, backoff: exponential({ initial: "1s", max: "1m" }) },
      timeout: { attempt: "1.5s", total: "2m", queue: "3h" },
      heartbeat: "4s",
      breaker: { failures: 5, cooldown: "10s" },
    });
    expect(retry).toMatchObject({ maxAttempts: 2, initialMs: 1_000, maxMs: 60_000 });
    expect(timeout).toEqual({ attemptMs: 1_500, totalMs: 120_000, queueMs: 10_800_000 });
    expect(heartbeatMs).toBe(4_000);
    expect(breaker).toEqual({ name: "s", failures: 5, cooldownMs: 10_000 });
  });

  it.each([
    ["a name with a dot", () => step("a.b", any)],
    ["no attempts", () => step("s", { ...any, retry: { maxAttempts: 0 } })],
    ["half an attempt at a time", () => step("s", { ...any, concurrency: 0.5 })],
    ["a breaker that is always open", () => step("s", { ...any, breaker: { failures: 0, cooldown: 1 } })],
    ["a duration without a unit", () => step("s", { ...any, timeout: { attempt: "5" as "5s" } })],
    ["a workflow's empty name", () => workflow("", any, async () => 1)],
    ["a workflow's version 0", () => workflow("w", { ...any, version: 0 }, async () => 1)],
  ])("refuses %s", (_what, define) => expect(define).toThrow(RangeError));

  it("cannot be changed once it is made", () => {
    expect(Object.isFrozen(step("s", any))).toBe(true);
    expect(Object.isFrozen(workflow("w", any, async () => 1))).toBe(true);
  });
});
