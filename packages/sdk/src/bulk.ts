import {
  CallTimeoutError,
  LogUnavailableError,
  NotRunningError,
  RunClosedError,
  RunNotFoundError,
  RunNotRetriedError,
  RunStillGoingError,
} from "@stepstream/contracts";
import { type Clock, sleep } from "@stepstream/event-log";

/** What became of one run of many. */
export type BulkOutcome =
  /** `started`: by a retry, the run that was started. */
  | { readonly id: string; readonly status: "done"; readonly started?: string }
  /** Its state does not allow it: it is over, is not over, or is not there. Nothing was changed. */
  | { readonly id: string; readonly status: "skipped"; readonly error: Error }
  | { readonly id: string; readonly status: "failed"; readonly error: Error };

export interface BulkOptions {
  /** At most so many in a second. Default 500. */
  perSecond?: number;
  /** At most so many at a time. Default 64. */
  concurrency?: number;
  /** Called as each is known, in no particular order. */
  onOutcome?: (outcome: BulkOutcome) => void;
  /** Begins no more runs once it aborts. Those that have begun are finished. */
  signal?: AbortSignal;
}

/** What became of many runs. */
export interface BulkReport {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  /** Why it stopped before it had tried all: the signal's reason, or what kept failing. Absent: all were tried. */
  readonly stopped?: Error;
}

/** The names of these options, for what takes them among its own. */
export const BULK: readonly string[] = ["perSecond", "concurrency", "onOutcome", "signal"];

/**
 * Does something to many runs.
 *
 * K1. One that fails does not stop the others. One whose state does not allow it is skipped, which is not a failure.
 * K2. At most `perSecond` begin in a second, and at most `concurrency` are under way.
 * K3. Where nothing answers (as many in a row as are under way at a time), it stops instead of waiting for each.
 *
 * Checked elsewhere:
 *   K1  bulk.test.ts: are all tried, whatever becomes of some (K1)
 *   K2  bulk.test.ts: are begun at most so many in a second, and so many at a time (K2)
 *   K3  bulk.test.ts: are given up where nothing answers (K3)
 */
export async function inBulk(
  clock: Clock,
  runs: Iterable<string> | AsyncIterable<string>,
  act: (id: string) => Promise<{ started?: string } | void>,
  options: BulkOptions,
): Promise<BulkReport> {
  const { perSecond = 500, concurrency = 64, onOutcome, signal } = options;
  const counts = { done: 0, skipped: 0, failed: 0 };
  const going = new Set<Promise<void>>();
  let unanswered = 0;
  let stopped: Error | undefined;
  let nextAt = clock.now();

  function settle(outcome: BulkOutcome): void {
    counts[outcome.status]++;
    const silent = outcome.status === "failed" && isUnanswered(outcome.error);
    unanswered = silent ? unanswered + 1 : 0;
    if (silent && unanswered >= concurrency) stopped ??= outcome.error;
    if (outcome.status === "failed" && outcome.error instanceof NotRunningError) stopped ??= outcome.error;
    onOutcome?.(outcome);
  }

  for await (const id of runs) {
    if (signal?.aborted) stopped ??= asError(signal.reason);
    if (stopped) break;
    const waitMs = nextAt - clock.now();
    // A timer is late by a millisecond or more; so a few are begun together.
    if (waitMs > 5) await sleep(clock, waitMs);
    nextAt = Math.max(nextAt, clock.now() - 1_000 / perSecond) + 1_000 / perSecond;
    const one = attempt(id, act)
      .then(settle)
      .finally(() => going.delete(one));
    going.add(one);
    if (going.size >= concurrency) await Promise.race(going);
  }
  await Promise.all(going);
  return { ...counts, ...(stopped && { stopped }) };
}

async function attempt(id: string, act: (id: string) => Promise<{ started?: string } | void>): Promise<BulkOutcome> {
  try {
    return { id, status: "done", ...(await act(id)) };
  } catch (thrown) {
    const error = asError(thrown);
    return { id, status: STATES.some((state) => error instanceof state) ? "skipped" : "failed", error };
  }
}

/** The run's state does not allow it. */
const STATES = [RunClosedError, RunStillGoingError, RunNotFoundError, RunNotRetriedError];

function isUnanswered(error: Error): boolean {
  return error instanceof LogUnavailableError || error instanceof CallTimeoutError;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
