import { CallTimeoutError, checkDuration, type Duration } from "@stepstream/contracts";
import type { Clock } from "@stepstream/event-log";

/** How long a call waits for its answer, unless the caller says otherwise. */
export const CALL_TIMEOUT = "30s";

/** An option of every call that waits for something outside. */
export interface CallOptions {
  /** How long to wait for an answer. Default "30s". */
  timeout?: Duration;
}

/**
 * Does something, and waits for it no longer than `timeout`. What it does is not undone by that.
 *
 * @param act - Its signal aborts when the time is over: for what must not continue after that.
 * @param what - What is waited for, e.g. `the status of run r1`.
 * @param known - What the caller should know of it when the time is over; asked then.
 * @throws {CallTimeoutError}
 */
export async function within<T>(
  clock: Clock,
  what: string,
  timeout: Duration | undefined,
  act: (signal: AbortSignal) => Promise<T>,
  known: () => string | Promise<string> = () => "Nothing was changed; asking again is safe.",
): Promise<T> {
  const ms = timeoutMs(timeout);
  const over = Promise.withResolvers<"over">();
  const timer = clock.setTimeout(() => over.resolve("over"), ms);
  const late = new AbortController();
  const acting = act(late.signal);
  acting.catch(() => {}); // It may fail after the time is over.
  try {
    const first = await Promise.race([acting.then((value) => ({ value })), over.promise]);
    if (first !== "over") return first.value;
  } finally {
    clock.clearTimeout(timer);
  }
  late.abort();
  throw new CallTimeoutError(what, ms, await known());
}

/**
 * Does something, unless the client is closed, before or meanwhile: then nobody waits for it any longer.
 *
 * @param closed - Its reason is what is thrown: a NotRunningError.
 */
export async function unlessClosed<T>(closed: AbortSignal, act: () => Promise<T>): Promise<T> {
  closed.throwIfAborted();
  const over = Promise.withResolvers<never>();
  const abort = () => over.reject(closed.reason);
  closed.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([act(), over.promise]);
  } finally {
    closed.removeEventListener("abort", abort);
  }
}

/** @throws {RangeError} It is no duration, or none at all. */
export function timeoutMs(timeout: Duration | undefined): number {
  return checkDuration("timeout", timeout === undefined ? CALL_TIMEOUT : timeout, { min: 1, max: LONGEST_MS });
}

/** A timer of Node's. */
const LONGEST_MS = 2 ** 31 - 1;
