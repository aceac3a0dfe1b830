import { InvariantError, type Whereabouts } from "./errors.ts";

/**
 * Asserts one of the numbered promises of a file header, e.g. "slot R1".
 *
 * Production and simulation both check: a promise that does not hold is a bug of Stepstream, and the run that shows it is
 * parked (a step: fails) with this error. Nothing else is affected.
 *
 * @param promise - The file or noun, and the number.
 * @param what - What is so instead; a function where making the text costs something.
 * @throws {InvariantError}
 */
export function invariant(
  holds: boolean,
  promise: string,
  where: Whereabouts,
  what: string | (() => string),
): asserts holds {
  if (!holds) throw new InvariantError(promise, typeof what === "string" ? what : what(), where);
}

/** Are the checks made that cost more than the work they check? Tests and the simulation switch them on. */
export let thorough = false;

/** Switches the expensive checks of this process on, or off. */
export function checkThoroughly(on = true): void {
  thorough = on;
}
