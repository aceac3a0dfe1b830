import { z } from "zod";

/** Milliseconds as a number, or a number with a unit: `"250ms"`, `"10s"`, `"5m"`, `"1.5h"`, `"30d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * @returns Milliseconds, at least 0.
 * @throws {RangeError} For anything that is no duration: negative, not finite, without a unit.
 * @example durationMs("1.5s"); // 1500
 */
export function durationMs(duration: Duration): number {
  if (typeof duration === "number") {
    if (Number.isFinite(duration) && duration >= 0) return duration;
  } else {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration);
    if (match) return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
  }
  throw new RangeError(`"${duration}" is no duration. Write milliseconds, or "250ms", "10s", "5m", "1.5h", "30d".`);
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
