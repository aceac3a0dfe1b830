import {
  checkBackoff,
  checkKeys,
  checkObject,
  type Duration,
  durationMs,
  type RetryPolicy,
} from "@stepstream/contracts";

/** How long to wait between attempts. */
export interface Backoff {
  initialMs: number;
  factor: number;
  maxMs: number;
  jitter: "full" | "equal" | "none";
}

/**
 * Waits that grow by `factor` with every failed attempt.
 *
 * @param options.initial - Ceiling of the first wait. Default "200ms".
 * @param options.factor - What each ceiling is multiplied with for the next. Default 2.
 * @param options.max - No wait is longer. Default "30s".
 * @throws {RangeError} A duration, factor or jitter that makes no sense.
 * @param options.jitter - "full" (default): evenly from [0, ceiling), so that steps that failed together do not
 *   come back together; "equal": from [ceiling / 2, ceiling); "none": the ceiling itself.
 */
export function exponential(
  options: { initial?: Duration; factor?: number; max?: Duration; jitter?: "full" | "equal" | "none" } = {},
): Backoff {
  checkObject("options of exponential", options);
  checkKeys("of exponential", options, ["initial", "factor", "max", "jitter"]);
  const { initial = "200ms", factor = 2, max = "30s", jitter = "full" } = options;
  const initialMs = durationMs(initial, "initial of a backoff");
  const backoff = { initialMs, factor, maxMs: durationMs(max, "max of a backoff"), jitter };
  checkBackoff("backoff", backoff);
  return backoff;
}

/** The same wait before every attempt. */
export function fixed(wait: Duration): Backoff {
  const ms = durationMs(wait, "wait of a backoff");
  return { initialMs: ms, factor: 1, maxMs: ms, jitter: "none" };
}

/** The retry policy of a step that says nothing else: 5 attempts, `exponential()`. */
export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 5, ...exponential() };

/**
 * How long to wait before trying again.
 *
 * @param failed - Attempts that have failed so far: 1, 2, 3, …
 * @param draw - A number in [0, 1), drawn by the caller, which keeps this pure.
 * @returns Whole milliseconds, at most `backoff.maxMs`.
 * @throws {RangeError} If `failed` or `draw` is outside the range above: a bug in the caller.
 * @example backoffMs(3, { initialMs: 100, factor: 2, maxMs: 10_000, jitter: "full" }, 0.5); // 200, half of 100 × 2²
 *
 * Source: "full jitter" and "equal jitter" in M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function backoffMs(failed: number, backoff: Backoff, draw: number): number {
  if (!Number.isInteger(failed) || failed < 1) throw new RangeError(`failed attempts: 1, 2, 3, …, not ${failed}`);
  if (!(draw >= 0 && draw < 1)) throw new RangeError(`a draw is in [0, 1), not ${draw}`);
  // The power may be infinite, and no wait is still none.
  const grown = backoff.initialMs === 0 ? 0 : backoff.initialMs * backoff.factor ** (failed - 1);
  const ceiling = Math.min(backoff.maxMs, grown);
  const share = { full: draw, equal: 0.5 + draw / 2, none: 1 }[backoff.jitter];
  return Math.floor(ceiling * share);
}
