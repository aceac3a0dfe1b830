/** Each practice is played on a real nats-server, and what it promises is looked for in what happened. */

import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DeclaredError, RemoteError, StepError, ValidationError, WorkflowFailedError } from "@stepstream/sdk";
import { idsOfRun } from "@stepstream/telemetry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../../test/support/nats.ts";
import * as all from "./all.ts";
import * as allSettled from "./all-settled.ts";
import * as boundedParallelism from "./bounded-parallelism.ts";
import * as cancellation from "./cancellation.ts";
import * as circuitBreaker from "./circuit-breaker.ts";
import * as cleanUp from "./clean-up.ts";
import * as differentRetries from "./different-retries.ts";
import * as durableActivities from "./durable-activities.ts";
import * as fixAndRetry from "./fix-and-retry.ts";
import * as gates from "./gates.ts";
import * as jobFlows from "./job-flows.ts";
import * as noSharedState from "./no-shared-state.ts";
import * as noSwallowedErrors from "./no-swallowed-errors.ts";
import * as observability from "./observability.ts";
import { PRACTICES } from "./practices.ts";
import * as progress from "./progress.ts";
import * as retryWithBackoff from "./retry-with-backoff.ts";
import * as sequential from "./sequential-with-context.ts";
import { onStage, type Stage } from "./stage.ts";
import * as structuredErrors from "./structured-errors.ts";
import * as timeOuts from "./time-outs.ts";
import * as typedSteps from "./typed-steps.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

/** Plays it, and checks that it has something to say to people, too. */
async function play<T>(practice: { play: (stage: Stage) => Promise<T> }): Promise<T> {
  const lines: string[] = [];
  const facts = await onStage(server.url, practice.play, (line) => lines.push(line));
  expect(lines.length).toBeGreaterThan(1);
  return facts;
}

describe("the practices", () => {
  it("typed steps: what the compiler has not seen is checked where it arrives", async () => {
    // That the wrong wirings in it do not compile, tsc says: each of them expects its error.
    const { text, refused } = await play(typedSteps);
    expect(text).toBe("9.95 EUR");
    expect(refused).toEqual({ code: "INVALID_INPUT", path: "lines[0].cents" });
  });

  it("sequential: in order, and a failure says which step, with which input, and keeps its cause", async () => {
    const { order, run, error } = await play(sequential);
    expect(order).toEqual(["download", "parse", "store"]);
    expect(error).toMatchObject({
      run,
      step: "parse",
      slot: 2,
      attempt: 2,
      input: { url: "https://example.org/empty", text: "<p>" },
      cause: { name: "UnreadablePage", code: "UNREADABLE_PAGE", data: { offset: 3 } },
    });
    expect(error.message).toContain('Step "parse" of run');
    expect((error.cause as Error).message).toBe("There is no title in the page from 3 on.");
  });

  it("all: the first failure fails the group; the others are cancelled or awaited, as chosen", async () => {
    const { good, cancelled, awaited } = await play(all);
    expect(good.result).toEqual({ flight: "seat 12A", hotel: "room 7", car: "a small one" });
    for (const { result } of [cancelled, awaited]) {
      expect(result).toBeInstanceOf(StepError);
      expect(result).toMatchObject({ step: "hotel", cause: { code: "FullyBooked", data: { nights: 9 } } });
    }
    expect(cancelled.ended.toSorted()).toEqual(["car cancelled", "flight cancelled", "hotel failed"]);
    expect(awaited.ended.toSorted()).toEqual(["car completed", "flight completed", "hotel failed"]);
  });

  it("allSettled: every outcome comes back, and the caller decides", async () => {
    const { cheapest, silent, error } = await play(allSettled);
    expect(cheapest).toEqual({ shop: "corner", cents: 106 });
    expect(silent).toEqual([{ shop: "old mill", why: "The step ended with its declared error Closed." }]);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect((error as Error).message).toContain("2 of 3 shops answered, not 3");
  });

  it("retry: waits grow up to the maximum, by chance; what is not worth it is not retried; all is on record", async () => {
    const { attempts, log, error } = await play(retryWithBackoff);
    expect(attempts).toBe(4);
    expect(log.map(({ attempt, error }) => `${attempt}: ${error.message}`)).toEqual(
      [1, 2, 3].map((attempt) => `${attempt}: the server answered 503`),
    );
    const ceilings = [40, 80, 100];
    for (const [i, { delayMs, at }] of log.entries()) {
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(ceilings[i]!);
      // It did wait: the next attempt failed no earlier than that.
      if (log[i + 1]) expect(log[i + 1]!.at - at).toBeGreaterThanOrEqual(delayMs! - 1);
    }
    expect(error).toMatchObject({ step: "upload", attempt: 1, cause: { data: { status: 403 } } });
  });

  it("different retries: nonsense is tried again, a file that cannot be written is not", async () => {
    const { written, retries, error } = await play(differentRetries);
    expect(written).toEqual({ title: "soup", minutes: 20 });
    // Both were given nonsense twice; the failure to write came with the first answer that was of use.
    expect(retries).toEqual({ good: 2, bad: 2 });
    expect(error).toMatchObject({ attempt: 3, cause: { code: "ENOENT" } });
  });

  it("cancellation: the reason reaches the work, and what was done is undone", async () => {
    const { log, cancelError, status, timeout } = await play(cancellation);
    expect(log[0]).toContain("confirm stopped: StepCancelledError: The step was cancelled: the guest changed her mind");
    expect(log[1]).toBe("released: hold on 12A");
    expect(cancelError).toMatchObject({ code: "WORKFLOW_CANCELLED", reason: "the guest changed her mind" });
    expect(status).toBe("cancelled");
    // A time-out is the same, with another reason.
    expect(log[3]).toContain("render stopped: TimeoutError: The attempt took longer than 300 ms");
    expect(timeout).toMatchObject({ step: "render", cause: { code: "TIMEOUT", kind: "attempt" } });
  });

  it("clean-up: what was acquired is released once, whatever the end", async () => {
    const { outcomes, ledger } = await play(cleanUp);
    expect(outcomes).toEqual({ succeeds: "completed", fails: "failed", "is cancelled": "cancelled" });
    // A machine for each of three runs, and a file for each of 1 + 2 + 1 attempts.
    expect(Object.keys(ledger)).toHaveLength(7);
    for (const [name, entry] of Object.entries(ledger))
      expect({ name, ...entry }).toEqual({ name, acquired: 1, released: 1 });
  });

  it("progress: step k of n, its name, per cent; for a terminal and for a page", async () => {
    const { seen, bars, pages } = await play(progress);
    expect(seen).toEqual([
      { step: 0, total: 3, name: "knead", percent: 0 },
      { step: 1, total: 3, name: "rest", percent: 33.3 },
      { step: 2, total: 3, name: "bake", percent: 66.7 },
      { step: 3, total: 3, name: "done", percent: 100 },
    ]);
    expect(bars[2]).toBe("[#####################-----------]  67 %  bake");
    expect(pages[1]).toBe('<label>rest <progress value="1" max="3">33.3 %</progress></label>');
  });

  it("bounded parallelism: 1,000 items, at most 10 at a time; a queue holds the rest", async () => {
    const { mapped, atATime, queued, inTheWorker } = await play(boundedParallelism);
    expect({ mapped, queued }).toEqual({ mapped: 1_000, queued: 100 });
    expect(atATime).toBeLessThanOrEqual(10);
    expect(atATime).toBeGreaterThan(1);
    expect(inTheWorker).toBeLessThanOrEqual(4);
    expect(inTheWorker).toBeGreaterThan(1);
  });

  it("time-outs: whatever waits has a limit", async () => {
    const { kinds, impatient, result, cancelled, defaults } = await play(timeOuts);
    expect(kinds).toEqual({ attempt: "attempt", total: "total", queue: "queue" });
    expect({ impatient, result, cancelled }).toEqual({
      impatient: "TimeoutError",
      result: "nothing, in time",
      cancelled: true,
    });
    expect(defaults).toEqual({ attemptMs: 5 * 60_000, totalMs: 24 * 3_600_000 });
  });

  it("no shared state: what a step changes is seen nowhere else", async () => {
    const { seenByAttempt, beside, after, spoiled, own, input } = await play(noSharedState);
    const whole = ["apple", "pear"];
    expect(seenByAttempt).toEqual([whole, whole]);
    expect({ beside, after, input }).toEqual({
      beside: { items: whole },
      after: { items: whole },
      input: { items: whole },
    });
    // What it returned is what the workflow got.
    expect(spoiled.items.at(-1)).toBe("a worm");
    expect(own.items).toEqual(["apple", "pear", "bread"]);
  });

  it("no swallowed errors: a failure nobody handles fails the run, with its context", async () => {
    const { forgotten, thrown, handled } = await play(noSwallowedErrors);
    expect(forgotten.status).toBe("failed");
    expect(forgotten.result).toMatchObject({
      code: "UNHANDLED_REJECTION",
      message: expect.stringMatching(/unhandled/i),
      run: forgotten.run,
    });
    const { cause } = forgotten.result as Error;
    expect(cause).toBeInstanceOf(StepError);
    expect(cause).toMatchObject({ run: forgotten.run, step: "audit", cause: { code: "LedgerClosed" } });
    expect(thrown.status).toBe("failed");
    expect(thrown.result).toMatchObject({ code: "WORKFLOW_FAILED", run: thrown.run });
    expect(((thrown.result as Error).cause as Error).message).toContain("toUpperCase");
    expect(handled).toMatchObject({ status: "completed", result: expect.stringMatching(/^not audited/) });
  });

  it("fix and retry: repairs until it passes, waiting longer each time, and says what it did", async () => {
    const { text, fixes, waits, error } = await play(fixAndRetry);
    expect(text).toBe("We receive the parcel.");
    expect(fixes.map(({ wrong }) => wrong)).toEqual(["teh", "recieve"]);
    expect(waits).toHaveLength(2);
    expect(waits[1]!).toBeGreaterThan(waits[0]!);
    // With two checks in all there is one repair, and what is still wrong is the failure.
    expect(error).toMatchObject({ step: "proofread", cause: { code: "Typo", data: { wrong: "recieve" } } });
  });

  it("gates: by level, skipped where manual or empty, stopped at the first failure, output kept", async () => {
    const { results, broken, hanging } = await play(gates);
    expect(results).toEqual([
      { gate: "types", status: "passed" },
      { gate: "lint", status: "skipped" },
      { gate: "tests", status: "passed" },
      { gate: "sign-off", status: "skipped" },
    ]);
    expect(broken.commands).toBe(2);
    expect(broken.error).toMatchObject({ gate: "lint", level: 2, exitCode: 2, detail: { run: broken.run } });
    expect(broken.error.stdout).toBe("1 problem\n");
    expect(broken.error.stderr).toBe("a.ts:3 unused\n");
    expect(hanging.error).toMatchObject({ gate: "e2e", stdout: "waiting\n" });
    expect(hanging.error.exitCode).toBeUndefined();
    expect(hanging.error.message).toContain("killed after 1000 ms");
  });

  it("structured errors: classes with codes, ids and context", async () => {
    const { step, validation, execution } = await play(structuredErrors);
    expect(step.error).toBeInstanceOf(StepError);
    expect(step.error.cause).toBeInstanceOf(DeclaredError);
    expect(step.error).toMatchObject({
      code: "STEP_FAILED",
      detail: { run: step.run, step: "charge", slot: 1, attempt: 1 },
      input: { account: "a-1", cents: 99_900 },
      cause: { code: "CardDeclined", data: { account: "a-1", limit: 50_000 } },
    });
    expect(validation.error).toBeInstanceOf(ValidationError);
    expect(validation.error).toMatchObject({ gate: "stock", level: 1, exitCode: 3, stdout: "", stderr: "2 missing\n" });
    expect(validation.error.detail).toMatchObject({ run: validation.run, step: "gate", slot: 1 });
    expect(execution.error).toBeInstanceOf(WorkflowFailedError);
    expect(execution.error).toMatchObject({ code: "WORKFLOW_FAILED", detail: { run: execution.run } });
    expect(execution.error.cause).toBeInstanceOf(RemoteError);
    expect(structuredErrors.whatToDo(step.error)).toContain("another card");
    expect(structuredErrors.whatToDo(execution.error)).toBe(
      "a bug, to be reported: RangeError: a basket has at most 99 items",
    );
  });

  it("durable activities: a killed worker's attempt goes on elsewhere, from its last heartbeat", async () => {
    const { stored, result, killed, successor } = await play(durableActivities);
    expect(result).toMatchObject({ pages: 60, by: successor });
    expect(successor).not.toBe(killed);
    expect(stored).toBeGreaterThanOrEqual(1);
    expect(result.from).toBeGreaterThan(stored);
    expect(result.from).toBeLessThan(60);
  });

  it("job flows: parents wait for children, to any depth; failures come up, cancels go down", async () => {
    const { built, order, most, grandchild, error, chain, statuses } = await play(jobFlows);
    expect(built).toEqual({ name: "bike", parts: 10 });
    expect(order).toHaveLength(10);
    for (const wheel of ["front", "back"])
      for (const part of ["rim", "hub", "tyre"])
        expect(order.indexOf(`${wheel}-${part}`)).toBeLessThan(order.indexOf(wheel));
    expect(order.at(-1)).toBe("bike");
    // Two at a time on each of two levels.
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
    expect(grandchild).toMatchObject({ workflow: "build", status: "completed" });
    expect(error).toMatchObject({ code: "CHILD_FAILED", run: "bad", child: "bad-wheel", workflow: "build" });
    expect(chain).toEqual(["child bad-wheel", "child bad-wheel-warped-rim", "StepError", "DeclaredError"]);
    expect(statuses).toEqual(["cancelled", "cancelled", "cancelled"]);
  });

  it("circuit breaker: opens after three in a row, cools down, probes, recovers alone; attempts are not used up", async () => {
    const { calls, pauses, states, results, attempts, packed } = await play(circuitBreaker);
    expect(states).toEqual(["open", "halfOpen", "open", "halfOpen", "closed"]);
    expect(calls.map(({ good }) => good)).toEqual([false, false, false, false, true, true, true]);
    // Nothing was called while it cooled down: before the probe that failed, and before the one that did not.
    expect(pauses[2]).toBeGreaterThanOrEqual(990);
    expect(pauses[3]).toBeGreaterThanOrEqual(990);
    // Only calls that were made count as attempts; and the third order was packed all the same.
    expect(attempts).toBe(4);
    expect(packed.get(3)).toBe("open");
    expect(results).toEqual([1, 2, 3].map((order) => [`packed ${order}`, `paid ${order}`]));
  });

  it("observability: an event for each step, metrics, one trace for the run", async () => {
    const { told, metrics, run, traceId, namespace, spans } = await play(observability);
    expect(told).toEqual([
      "weigh 1 attempt",
      "weigh 1 completed",
      "post 1 attempt",
      "post 1 retrying",
      "post 2 attempt",
      "post 2 completed",
    ]);
    expect(metrics).toMatchObject({ weigh: { attempts: 1, failed: 0 }, post: { attempts: 2, failed: 1 } });
    expect(metrics.post!.maxMs).toBeGreaterThan(0);
    expect(traceId).toBe(idsOfRun(namespace, run).traceId);
    expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
    expect(spans.filter((span) => !span.parentSpanContext).map((span) => span.name)).toEqual(["run send-parcel"]);
  });
});

describe("the command", () => {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [`${folder}main.ts`, ...args]);

  it("lists them all without a name: one for each file of the folder that plays", async () => {
    const { stdout } = await run();
    const listed = [...stdout.matchAll(/^ {2}(\S+) {2,}\S/gm)].map(([, name]) => name);
    const others = ["main", "practices", "stage", "durable-activities.handlers", "practices.test"];
    const files = (await readdir(folder)).map((file) => file.replace(/\.ts$/, "")).filter((f) => !others.includes(f));
    expect(listed.toSorted()).toEqual(files.toSorted());
    expect(listed).toEqual(Object.keys(PRACTICES));
    expect((await run("--help")).stdout).toBe(stdout);
  });

  it("plays what it is given, on a server of its own", async () => {
    const { stdout } = await run("typed-steps", "all-settled");
    expect(stdout).toMatch(/^typed-steps: [\s\S]*result {3}9\.95 EUR[\s\S]*^all-settled: [\s\S]*cheapest {2}corner/m);
  });

  it("does not know what it does not know", async () => {
    const failure = await run("sleep-well").catch((error) => error);
    expect(failure).toMatchObject({ code: 2, stderr: 'There is no practice "sleep-well". The list: --help.\n' });
  });
});
