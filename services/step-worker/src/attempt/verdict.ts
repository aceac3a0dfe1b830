import {
  DeclaredError,
  InvalidOutputError,
  invariant,
  isInstance,
  type RunStep,
  TimeoutError,
  tamed,
  type Where,
} from "@stepstream/contracts";
import { backoffMs } from "@stepstream/sdk";

/**
 * What follows a failed attempt.
 *
 *   judge(error, attempt, …) -> try again after a wait, or the slot has failed
 *
 * Pure: time and chance are arguments.
 *
 * V1. Final whatever the policy says: declared errors, and all that say `retry: "never"`. One exception: a
 *     handler that returned rubbish (InvalidOutputError) may do better next time.
 * V2. Never more than `maxAttempts`.
 * V3. No attempt is promised that would start at or after the end of the total time-out. What fails then is
 *     the step's time; the error that would have been tried again is its cause.
 * V4. Waits of up to a minute stay in the command queue. A longer one goes through the inbox and becomes a
 *     timer: delayed commands count as pending, and a queue can only have so many of them.
 *
 * Asserted for each retry, before anything of it is stored ("verdict V1" …).
 */
export type Verdict =
  | { next: "retry"; delayMs: number; via: "queue" | "inbox" }
  /** With `error`, which is not always what the attempt threw (V3). */
  | { next: "fail"; error: unknown };

/** Longest wait that a command sits out in its queue, in milliseconds. */
export const QUEUE_WAIT_MAX_MS = 60_000;

export interface FailedAttempt {
  /** What it threw, or why it was stopped. */
  error: unknown;
  attempt: number;
  /** Epoch milliseconds. */
  now: number;
  /** A number in [0, 1), for the jitter. */
  draw: number;
  /** The step's own opinion. A throw counts as no. */
  retryIf?: ((error: Error, attempt: number) => boolean) | undefined;
}

/** The part of a command that decides. */
export type Policy = Pick<RunStep, "run" | "step" | "slot" | "retry" | "timeout" | "scheduledAt">;

/** @throws {InvariantError} */
export function judge(failed: FailedAttempt, policy: Policy): Verdict {
  const verdict = decide(failed, policy);
  if (verdict.next === "retry") check(verdict, failed, policy);
  return verdict;
}

function check({ delayMs, via }: Extract<Verdict, { next: "retry" }>, failed: FailedAttempt, policy: Policy): void {
  const { error, attempt, now } = failed;
  const where = { ...slotOf(policy), attempt };
  const end = policy.scheduledAt + (policy.timeout.totalMs ?? Number.POSITIVE_INFINITY);
  invariant(!isInstance(error, DeclaredError), "verdict V1", where, "a declared error is to be tried again");
  invariant(attempt < policy.retry.maxAttempts, "verdict V2", where, "no attempt is left, and another is to follow");
  invariant(now + delayMs < end, "verdict V3", where, "the next attempt would start after the total time-out");
  invariant((via === "queue") === delayMs <= QUEUE_WAIT_MAX_MS, "verdict V4", where, () => `${delayMs} ms by ${via}`);
}

function decide(failed: FailedAttempt, policy: Policy): Verdict {
  const { error, attempt, now, draw } = failed;
  if (attempt >= policy.retry.maxAttempts || isFinal(error)) return { next: "fail", error };
  const worth = worthIt(failed);
  if (worth !== true) return { next: "fail", error: worth || error };
  const delayMs = backoffMs(attempt, policy.retry, draw);
  const { totalMs } = policy.timeout;
  if (totalMs !== undefined && now + delayMs >= policy.scheduledAt + totalMs)
    return { next: "fail", error: outOfTime("total", totalMs, { ...slotOf(policy), attempt }, error) };
  return { next: "retry", delayMs, via: delayMs > QUEUE_WAIT_MAX_MS ? "inbox" : "queue" };
}

/** Can no attempt ever help? */
function isFinal(error: unknown): boolean {
  try {
    if (error instanceof InvalidOutputError) return false;
    if (error instanceof TimeoutError) return error.kind === "total" || error.kind === "queue";
    return typeof error === "object" && error !== null && "retry" in error && error.retry === "never";
  } catch {
    // A getter or a proxy that throws: it says nothing about retries.
    return false;
  }
}

/** @returns What is wrong with the predicate, if it is async: a promise would always count as yes. */
function worthIt({ error, attempt, retryIf }: FailedAttempt): boolean | TypeError {
  if (!retryIf) return true;
  try {
    const worth: unknown = retryIf(isInstance(error, Error) ? error : tamed(error), attempt);
    if (typeof (worth as PromiseLike<unknown> | undefined)?.then !== "function") return Boolean(worth);
    Promise.resolve(worth).catch(() => {});
    return new TypeError("retryIf is async, but must not return a promise; the step is not tried again.", {
      cause: error,
    });
  } catch {
    return false;
  }
}

export function outOfTime(
  kind: "attempt" | "total" | "queue" | "heartbeat",
  ms: number,
  where: Where,
  cause?: unknown,
): TimeoutError {
  const error = new TimeoutError(kind, ms, where);
  if (cause !== undefined) Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
  return error;
}

function slotOf({ run, step, slot }: Policy): Omit<Where, "attempt"> {
  return { run, step, slot };
}
