import { LogRefusedError, LogUnavailableError } from "@stepstream/contracts";
import { sleep } from "@stepstream/event-log";
import { type Deps, Released } from "./deps.ts";

/**
 * Does something to the log until it is done, however long the log is away: what it does is safe to do
 * again. Waits 50 ms, doubling, at most 2 s.
 *
 * @param what - For people; made only when something goes wrong, since every command and decision comes by here.
 * @param wanted - Is it still to be done? Asked before each try after the first.
 * @returns undefined if it is not wanted any more.
 * @throws {Released} And everything that `act` throws and that is no trouble with the log.
 */
export function retrying<T>(
  deps: Deps,
  what: () => string,
  act: () => Promise<T>,
  wanted: () => boolean,
): Promise<T | undefined> {
  return act().catch((error) => again(deps, what, act, wanted, error));
}

async function again<T>(
  deps: Deps,
  what: () => string,
  act: () => Promise<T>,
  wanted: () => boolean,
  first: unknown,
): Promise<T | undefined> {
  let error = first;
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    if (error instanceof Released) throw error;
    if (!(error instanceof LogUnavailableError || error instanceof LogRefusedError)) throw error;
    deps.emit({ type: "trouble", what: what(), error });
    await sleep(deps.clock, waitMs);
    if (!wanted()) return undefined;
    try {
      return await act();
    } catch (thrown) {
      error = thrown;
    }
  }
}
