import { LogUnavailableError } from "@stepstream/contracts";
import type { Clock, EventLog, Stored } from "@stepstream/event-log";

/** Silence after which the journal is read again, in case a live message was lost. Grows from … to … */
const RECHECK_MS = { first: 2_000, factor: 1.5, last: 10_000 };
/** After a reconnection, spread over so long. */
const BACK_MS = 1_000;

/**
 * Watches the journal of a run.
 *
 * W1. Live messages are followed before anything is read, so nothing falls between the two.
 * W2. Live messages may get lost; `reread` is repeated, less and less often, and finds what they told.
 * W3. While the log is away it keeps trying: a wait survives an outage. It looks within a second after a reconnection:
 *     what was stored meanwhile was not told live.
 * W4. Subscriptions and one timer, all gone when it ends.
 *
 * @param watch.reread - What to look at, first at once and then now and again.
 * @param watch.see - Called with each message, live or read, possibly twice or late. True ends the watch.
 * @throws What `reread` or `see` threw; the reason of `signal` if that aborts.
 *
 * Checked elsewhere:
 *   W1  client.test.ts: is what the run ended with, parsed
 *   W2  client.test.ts: is found by looking again where the live message was lost
 *   W3  test/e2e/client.test.ts: starts a run, and waits for it, while the server is away
 *   W4  client.test.ts: leaves nothing behind where the caller stops early
 */
export async function watchJournal(watch: {
  log: EventLog;
  clock: Clock;
  run: string;
  reread: () => Promise<readonly Stored[]>;
  see: (stored: Stored) => boolean;
  signal?: AbortSignal | undefined;
}): Promise<void> {
  const { log, clock, run, reread, see, signal } = watch;
  signal?.throwIfAborted();
  const over = Promise.withResolvers<"over">();
  over.promise.catch(() => {}); // It may fail while something else is awaited.
  let isOver = false;
  const show = (stored: Stored) => {
    if (isOver) return;
    try {
      isOver = see(stored);
      if (isOver) over.resolve("over");
    } catch (error) {
      over.reject(error);
    }
  };
  const abort = () => over.reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const live = log.followJournal(run, show);
  let isBack = false;
  let wake = () => {};
  const reconnected = log.onReconnect(() => {
    isBack = true;
    wake();
  });
  try {
    for (let wait = RECHECK_MS.first; !isOver; wait = Math.min(wait * RECHECK_MS.factor, RECHECK_MS.last)) {
      const read = await Promise.race([over.promise, reread().catch(unavailable)]);
      if (read !== "over") for (const stored of read) show(stored);
      // Spread, so that thousands of waits do not all read at once.
      if (isOver) break;
      await pause(clock, wait * (0.75 + clock.random() / 2), over.promise, (resolve) => {
        wake = resolve;
      });
      if (!isBack) continue;
      isBack = false;
      wait = RECHECK_MS.first;
      if (!isOver) await pause(clock, clock.random() * BACK_MS, over.promise);
    }
    await over.promise;
  } finally {
    live.stop();
    reconnected.stop();
    signal?.removeEventListener("abort", abort);
  }
}

function unavailable(error: unknown): [] {
  if (error instanceof LogUnavailableError) return [];
  throw error;
}

/** Until the time is over or `woken` is, whichever is first; leaves no timer behind. */
async function pause(
  clock: Clock,
  ms: number,
  woken: Promise<unknown>,
  onWait: (wake: () => void) => void = () => {},
): Promise<void> {
  let timer: unknown;
  const time = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, ms);
    onWait(resolve);
  });
  await Promise.race([time, woken]).finally(() => clock.clearTimeout(timer));
}
