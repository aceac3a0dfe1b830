import { CallTimeoutError, NotRunningError, RunClosedError, RunNotFoundError } from "@stepstream/contracts";
import { systemClock } from "@stepstream/event-log";
import { describe, expect, it } from "vitest";
import { type BulkOutcome, inBulk } from "./bulk.ts";

const ids = (count: number) => Array.from({ length: count }, (_, n) => `r${n}`);

describe("many runs", () => {
  it("are all tried, whatever becomes of some (K1)", async () => {
    const outcomes: BulkOutcome[] = [];
    const act = async (id: string) => {
      if (id === "r1") throw new RunClosedError(id, "completed");
      if (id === "r2") throw new RunNotFoundError(id, "test");
      if (id === "r3") throw new Error("no");
      if (id === "r4") throw "not an error";
      return id === "r5" ? { started: "r5-again" } : undefined;
    };
    const report = await inBulk(systemClock, ids(8), act, { onOutcome: (one) => outcomes.push(one) });
    expect(report).toEqual({ done: 4, skipped: 2, failed: 2 });
    expect(outcomes.sort((a, b) => a.id.localeCompare(b.id))).toMatchObject([
      { id: "r0", status: "done" },
      { id: "r1", status: "skipped", error: expect.any(RunClosedError) },
      { id: "r2", status: "skipped", error: expect.any(RunNotFoundError) },
      { id: "r3", status: "failed", error: new Error("no") },
      { id: "r4", status: "failed", error: new Error("not an error") },
      { id: "r5", status: "done", started: "r5-again" },
      { id: "r6", status: "done" },
      { id: "r7", status: "done" },
    ]);
  });

  it("are begun at most so many in a second, and so many at a time (K2)", async () => {
    const begun: number[] = [];
    let going = 0;
    let most = 0;
    const act = async () => {
      begun.push(performance.now());
      most = Math.max(most, ++going);
      await new Promise((resolve) => setTimeout(resolve, 30));
      going--;
    };
    await inBulk(systemClock, ids(100), act, { perSecond: 200, concurrency: 5 });
    expect(most).toBe(5);
    begun.length = 0;
    await inBulk(systemClock, ids(100), act, { perSecond: 200, concurrency: 100 });
    // A few are begun together, and none is caught up for.
    for (let n = 0; n + 20 < begun.length; n++) expect(begun[n + 20]! - begun[n]!).toBeGreaterThan(85);
    expect(begun.at(-1)! - begun[0]!).toBeGreaterThan(450);
  });

  it("are given up where nothing answers (K3)", async () => {
    let tried = 0;
    const act = async () => {
      tried++;
      throw new CallTimeoutError("the cancellation", 30_000, "");
    };
    const report = await inBulk(systemClock, ids(1_000), act, { perSecond: 1e9, concurrency: 8 });
    expect(report).toMatchObject({ done: 0, stopped: expect.any(CallTimeoutError) });
    expect(tried).toBeLessThan(30);
  });

  it("are tried on where only some do not answer", async () => {
    const act = async (id: string) => {
      if (!id.endsWith("5")) throw new CallTimeoutError("the cancellation", 30_000, "");
    };
    const report = await inBulk(systemClock, ids(100), act, { perSecond: 1e9, concurrency: 16 });
    expect(report).toEqual({ done: 10, skipped: 0, failed: 90 });
  });

  it("are left when the client is closed, or the caller wants no more", async () => {
    const closed = async () => {
      throw new NotRunningError("The client", "closed");
    };
    const fast = { perSecond: 1e9, concurrency: 4 };
    expect(await inBulk(systemClock, ids(1_000), closed, fast)).toMatchObject({ stopped: expect.any(NotRunningError) });
    const stop = new AbortController();
    const finished: string[] = [];
    const act = async (id: string) => {
      if (id === "r10") stop.abort(new Error("enough"));
      await new Promise((resolve) => setTimeout(resolve, 5));
      finished.push(id);
    };
    const report = await inBulk(systemClock, ids(1_000), act, { ...fast, signal: stop.signal });
    expect(report).toMatchObject({ done: finished.length, stopped: new Error("enough") });
    expect(finished.length).toBeLessThan(20);
    expect(finished).toContain("r10");
  });
});
