import { LogUnavailableError } from "@stepstream/contracts";
import type { Clock } from "../clock.ts";
import { Backoff } from "../retry.ts";
import { isCertificateRefused, isLoginRefused } from "./login.ts";

export interface WaitOptions {
  /**
   * How long to try again where no server answers yet, in milliseconds; Infinity for as long as it takes. Default 0: the
   * first failure is thrown. A login or a certificate that is refused is thrown at once.
   */
  waitMs?: number;
  /** Called after each failure that is followed by another try. */
  onWaiting?: (error: LogUnavailableError) => void;
  /** Ends the wait, with its reason. */
  signal?: AbortSignal;
}

/**
 * Does it until it succeeds, as long as the failure is that nothing answers yet: a program may be started before its
 * server, and a server before its JetStream.
 *
 * @throws The last failure, when the time is over; any other failure at once.
 */
export async function untilServed<T>(clock: Clock, options: WaitOptions, act: () => Promise<T>): Promise<T> {
  const { waitMs = 0, onWaiting, signal } = options;
  const since = clock.now();
  const backoff = new Backoff(clock, { firstMs: 200, longestMs: 2_000 });
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof LogUnavailableError) || isFinal(error)) throw error;
      const pauseMs = Math.min(backoff.next(), since + waitMs - clock.now());
      if (!(pauseMs > 0)) throw error;
      onWaiting?.(error);
      await pause(clock, pauseMs, signal);
    }
  }
}

function isFinal({ cause }: LogUnavailableError): boolean {
  return isLoginRefused(cause) || isCertificateRefused(cause);
}

/** @throws The reason of the signal, when it aborts. */
function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clock.clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
