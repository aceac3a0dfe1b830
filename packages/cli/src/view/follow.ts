import { LogUnavailableError } from "@stepstream/contracts";
import type { Bus } from "../connection.ts";

/** So long nothing was heard: look, for failed attempts are not told, and what is told may get lost. */
const LOOK_MS = 1_000;

/**
 * Calls `look` now and whenever something may have happened to the run, at least once a second, until it returns true.
 * A server that is away for a while does not end it: a connection that is lost for good does (`withBus`).
 *
 * @throws The reason of `signal`, when that is aborted.
 */
export async function followRun(
  bus: Bus,
  run: string,
  signal: AbortSignal,
  look: () => Promise<boolean>,
): Promise<void> {
  let wake = Promise.withResolvers<void>();
  const live = bus.log.followJournal(run, () => wake.resolve());
  const abort = () => wake.resolve();
  signal.addEventListener("abort", abort);
  try {
    for (;;) {
      signal.throwIfAborted();
      // What comes while it looks is seen the next time, at once.
      const woken = wake.promise;
      if (await look().catch(whileAway)) return;
      const timer = setTimeout(() => wake.resolve(), LOOK_MS);
      await woken;
      clearTimeout(timer);
      wake = Promise.withResolvers<void>();
    }
  } finally {
    live.stop();
    signal.removeEventListener("abort", abort);
  }
}

/** Of a look that is repeated: nothing was seen, as long as the server is away. */
export function whileAway(error: unknown): undefined {
  if (error instanceof LogUnavailableError) return undefined;
  throw error;
}
