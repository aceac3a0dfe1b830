import { Backoff, isTransient, sleep } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

/** The worker has stopped for good before it was done. Never seen outside. */
export class Stopped extends Error {}

/**
 * Does something to the log until it is done, however long the log is away: what it does is safe to do again.
 * Waits longer after each failure, at most 2 s.
 *
 * @param what - Names the kind; `run` is an example of it.
 * @throws {Stopped} The worker stopped first. And whatever `act` throws that is no trouble with the log.
 */
export function retrying<T>(deps: Deps, what: string, act: () => Promise<T>, run?: string): Promise<T> {
  return act().catch((error) => again(deps, what, act, run, error));
}

async function again<T>(
  deps: Deps,
  what: string,
  act: () => Promise<T>,
  run: string | undefined,
  first: unknown,
): Promise<T> {
  const backoff = new Backoff(deps.clock);
  for (let error = first; ; ) {
    if (!isTransient(error)) throw error;
    deps.warn(what, error, run);
    if (!deps.alive()) throw new Stopped();
    await sleep(deps.clock, backoff.next());
    if (!deps.alive()) throw new Stopped();
    try {
      return await act();
    } catch (thrown) {
      error = thrown;
    }
  }
}
