import { z } from "zod";
import { MAX_DURATION_MS } from "./limits.ts";
import { shown } from "./shown.ts";

/** Milliseconds as a number, or a number with a unit: `"250ms"`, `"10s"`, `"5m"`, `"1.5h"`, `"30d"`. At most 100 years. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * @param what - What it is for, in the error.
 * @returns Milliseconds, at least 0, at most 100 years.
 * @throws {RangeError} Anything that is not a duration: negative, not finite, too long, without a unit.
 * @example durationMs("1.5s"); // 1500
 */
export function durationMs(duration: Duration, what = "duration"): number {
  const ms = typeof duration === "number" ? duration : parse(duration);
  if (ms >= 0 && ms <= MAX_DURATION_MS) return ms;
  if (ms > MAX_DURATION_MS)
    throw new RangeError(
      `Invalid ${what} ${shown(duration)}. Use at most "36525d", which is 100 years (${MAX_DURATION_MS} ms).`,
    );
  throw new RangeError(
    `Invalid ${what} ${shown(duration)}. Use a number of milliseconds, or a string such as "250ms", "10s", "5m", "1.5h", "30d".`,
  );
}

function parse(text: unknown): number {
  const match = typeof text === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) : null;
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : Number.NaN;
}

/** How attempts at a step follow each other. All of it is data, so that any worker can obey it. */
export const RetryPolicy = z.object({
  /** Attempts in all, the first included. */
  maxAttempts: z.int().min(1),
  /** Before the second attempt. */
  initialMs: z.number().min(0),
  /** Each wait's ceiling is the last one's times this. */
  factor: z.number().min(1),
  /** No wait is longer. */
  maxMs: z.number().min(0),
  /** full: evenly from [0, ceiling); equal: from [ceiling/2, ceiling); none: the ceiling. */
  jitter: z.enum(["full", "equal", "none"]),
});
export type RetryPolicy = z.infer<typeof RetryPolicy>;

/** The clocks of a step. One that is absent never runs out. */
export const TimeoutPolicy = z.object({
  /** One attempt, from the call of the handler. */
  attemptMs: z.number().positive().optional(),
  /** The whole step, from its scheduling, waits between attempts included. */
  totalMs: z.number().positive().optional(),
  /** From scheduling until a worker first picks it up. */
  queueMs: z.number().positive().optional(),
});
export type TimeoutPolicy = z.infer<typeof TimeoutPolicy>;
