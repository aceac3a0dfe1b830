import { LogRefusedError, LogUnavailableError } from "@stepstream/contracts";
import { sleep } from "@stepstream/event-log";
import { type Deps, Released } from "./deps.ts";

/**
 * Does something to the log until it is done, however long the log is away: what it does is safe to do
 * again. Waits 50 ms, doubling, at most 2 s.
 *
 * @param wanted - Is it still to be done? Asked before each try after the first.
 * @returns undefined if it is not wanted any more.
 * @throws {Released} And everything that `act` throws and that is no trouble with the log.
 */
export async function retrying<T>(
  deps: Deps,
  what: string,
  act: () => Promise<T>,
  wanted: () => boolean,
): Promise<T | undefined> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      return await act();
    } catch (error) {
      if (error instanceof Released) throw error;
      if (!(error instanceof LogUnavailableError || error instanceof LogRefusedError)) throw error;
      deps.emit({ type: "trouble", what, error });
    }
    await sleep(deps.clock, waitMs);
    if (!wanted()) return undefined;
  }
}
