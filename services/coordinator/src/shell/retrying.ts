import { Backoff, isTransient, sleep } from "@stepstream/event-log";
import { type Deps, Released } from "./deps.ts";

/**
 * Does something to the log until it is done, however long the log is away: what it does is safe to do
 * again. Waits longer after each failure, at most 2 s.
 *
 * @param what - Names the kind, not the run: every command and decision passes here.
 * @param wanted - Is it still to be done? Asked before each try after the first.
 * @param otherwise - What it comes to if it is not wanted any more. Default undefined.
 * @throws {Released} And everything that `act` throws and that is not a transient error of the log.
 */
export function retrying<T, O = undefined>(
  deps: Deps,
  what: string,
  act: () => Promise<T>,
  wanted: () => boolean,
  run?: string,
  otherwise?: O,
): Promise<T | O> {
  return act().catch((error) => again(deps, what, act, wanted, run, otherwise as O, error));
}

/** As often is a read tried that many others depend on. */
const TRIES = 5;

/**
 * Tries a read a few times: one answer that is lost is not to cost all that was read before it.
 *
 * @throws What the last try has thrown, and what is not a transient error of the log.
 */
export async function triedAgain<T>({ clock }: Pick<Deps, "clock">, act: () => Promise<T>): Promise<T> {
  const backoff = new Backoff(clock);
  for (let tries = 1; ; tries++) {
    try {
      return await act();
    } catch (error) {
      if (tries === TRIES || !isTransient(error)) throw error;
      await sleep(clock, backoff.next());
    }
  }
}

async function again<T, O>(
  deps: Deps,
  what: string,
  act: () => Promise<T>,
  wanted: () => boolean,
  run: string | undefined,
  otherwise: O,
  first: unknown,
): Promise<T | O> {
  const backoff = new Backoff(deps.clock);
  for (let error = first; ; ) {
    if (error instanceof Released) throw error;
    if (!isTransient(error)) throw error;
    deps.warn(what, error, run);
    await sleep(deps.clock, backoff.next());
    if (deps.isOver() || !wanted()) return otherwise;
    try {
      return await act();
    } catch (thrown) {
      error = thrown;
    }
  }
}
