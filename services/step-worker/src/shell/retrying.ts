import { LogRefusedError, LogUnavailableError } from "@stepstream/contracts";
import { sleep } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

/** The worker has stopped for good before it was done. Never seen outside. */
export class Stopped extends Error {}

/**
 * Does something to the log until it is done, however long the log is away: what it does is safe to do again.
 * Waits 50 ms, doubling, at most 2 s.
 *
 * @throws {Stopped} The worker stopped first. And whatever `act` throws that is no trouble with the log.
 */
export async function retrying<T>(deps: Deps, what: string, act: () => Promise<T>): Promise<T> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      return await act();
    } catch (error) {
      if (!isTrouble(error)) throw error;
      deps.emit({ type: "trouble", what, error });
    }
    if (!deps.alive()) throw new Stopped();
    await sleep(deps.clock, waitMs);
    if (!deps.alive()) throw new Stopped();
  }
}

export function isTrouble(error: unknown): boolean {
  return error instanceof LogUnavailableError || error instanceof LogRefusedError;
}
