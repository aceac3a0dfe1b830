import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shutdownPlan } from "./shutdown.ts";

describe("the time between SIGTERM and SIGKILL", () => {
  it.each([
    ["Kubernetes, by default", undefined, undefined, { drainMs: 20_000, cleanUpMs: 5_000, endMs: 29_000 }],
    ["docker stop", 10_000, undefined, { drainMs: 5_000, cleanUpMs: 2_000, endMs: 9_000 }],
    ["ten minutes", 600_000, undefined, { drainMs: 590_000, cleanUpMs: 5_000, endMs: 599_000 }],
    ["steps have a minute to finish", undefined, 60_000, { drainMs: 60_000, cleanUpMs: 5_000, endMs: 69_000 }],
    ["no step has time to finish", undefined, 0, { drainMs: 0, cleanUpMs: 5_000, endMs: 9_000 }],
    ["a minute to finish, of 30 s", 30_000, 60_000, { drainMs: 20_000, cleanUpMs: 5_000, endMs: 29_000 }],
    ["none", 0, undefined, { drainMs: 0, cleanUpMs: 0, endMs: 0 }],
  ])("is divided: %s", (_who, patienceMs, drainMs, plan) => expect(shutdownPlan(patienceMs, drainMs)).toEqual(plan));

  it("is never used up, and each part has some of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 3_600_000 }), fc.option(fc.nat(7_200_000)), (patienceMs, drainMs) => {
        const plan = shutdownPlan(patienceMs, drainMs ?? undefined);
        expect(plan.endMs).toBeLessThan(patienceMs);
        expect(plan.cleanUpMs).toBeGreaterThan(0);
        expect(plan.drainMs + plan.cleanUpMs).toBeLessThan(plan.endMs);
      }),
    );
  });
});
