import type { EventEmitter } from "node:events";

/**
 * Exceptions that no promise chain and no `try` holds: of an abort listener, a microtask, an event emitter.
 *
 * X1. One that belongs to the code of a run or an attempt, by its async context, is given to that run or attempt. The
 *     process goes on, and its own listeners of "uncaughtException" do not see it.
 * X2. All others do what they do without Stepstream: listeners of "uncaughtException" get them; without one the process
 *     ends.
 */

/** Finds what the running code belongs to. @returns What takes the exception; undefined if it is other code. */
export type Owner = () => ((error: unknown) => void) | undefined;

const owners = new Set<Owner>();
let installed = false;

/** Adds an owner, for as long as the process lives. */
export function ownUncaught(owner: Owner): void {
  owners.add(owner);
  if (installed) return;
  installed = true;
  // A listener would be counted by others, and could not keep an exception from them. There is one callback only.
  if (!process.hasUncaughtExceptionCaptureCallback()) process.setUncaughtExceptionCaptureCallback(capture);
  else process.prependListener("uncaughtException", listen);
}

function taken(error: unknown): boolean {
  for (const owner of owners) {
    const take = owner();
    if (!take) continue;
    take(error);
    return true;
  }
  return false;
}

function capture(error: unknown): void {
  if (taken(error) || (process as EventEmitter).emit("uncaughtException", error, "uncaughtException")) return;
  process.setUncaughtExceptionCaptureCallback(null);
  endWith(error);
}

function listen(error: unknown): void {
  if (taken(error) || process.listenerCount("uncaughtException") > 1) return;
  process.off("uncaughtException", listen);
  endWith(error);
}

/** What is no longer caught ends the process, with its stack on standard error. */
function endWith(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
