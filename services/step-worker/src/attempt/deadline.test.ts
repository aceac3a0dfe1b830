import type { RunStep } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { deadlineOf, overdue } from "./deadline.ts";

const command = (timeout: RunStep["timeout"]) => ({ timeout, scheduledAt: 1_000 }) as RunStep;

describe("a command scheduled at 1,000", () => {
  const all = command({ attemptMs: 50, totalMs: 500, queueMs: 100 });
  it.each<[string, ReturnType<typeof overdue>, string | undefined]>([
    ["is in time", overdue(all, 1, 1, 1_099), undefined],
    ["is too late for its queue", overdue(all, 1, 1, 1_100), "queue"],
    ["is not, once it was picked up (T3)", overdue(all, 1, 2, 1_100), undefined],
    ["nor at a later attempt (T3)", overdue(all, 2, 1, 1_100), undefined],
    ["is too late for any attempt (T2)", overdue(all, 2, 9, 1_500), "total"],
    ["is never too late without time-outs", overdue(command({}), 1, 1, 1e15), undefined],
  ])("%s", (_sentence, got, kind) => expect(got?.kind).toBe(kind));

  it.each<[string, number, RunStep["timeout"], number, string]>([
    ["ends by its attempt's time-out", 1_000, { attemptMs: 50, totalMs: 500 }, 1_050, "attempt"],
    ["ends by its total, if that is first (T1)", 1_480, { attemptMs: 50, totalMs: 500 }, 1_500, "total"],
    ["never has to end", 1_000, {}, Number.POSITIVE_INFINITY, "total"],
  ])("an attempt %s", (_sentence, now, timeout, at, kind) =>
    expect(deadlineOf(command(timeout), now)).toMatchObject({ at, kind }),
  );
});
