/**
 * Exceptions that no promise chain and no `try` holds: of an abort listener, a microtask, an event emitter.
 *
 * X1. One that belongs to the code of a run or an attempt, by its async context, is given to that run or attempt. The
 *     process goes on, and its own listeners of "uncaughtException" do not see it.
 * X2. All others do what they do without Stepstream.
 *
 * Checked elsewhere:
 *   X1  test/e2e/containment.test.ts: outside of every promise chain has failed with the line, and the process goes on
 *   X2  ../../../services/coordinator/src/run/globals.test.ts: does what Node does
 */

/** Finds what the running code belongs to. @returns What takes the exception; undefined if it is other code. */
export type Owner = () => ((error: unknown) => void) | undefined;

const owners = new Set<Owner>();

/** Adds an owner, for as long as the process lives. */
export function ownUncaught(owner: Owner): void {
  if (owners.size === 0) process.on("uncaughtExceptionMonitor", beforeNode);
  owners.add(owner);
}

/** Node calls this first, whatever it does then. Only for an exception that has an owner is it kept from Node. */
function beforeNode(error: unknown): void {
  for (const owner of owners) {
    const take = owner();
    if (!take || process.hasUncaughtExceptionCaptureCallback()) continue;
    process.setUncaughtExceptionCaptureCallback(() => {
      process.setUncaughtExceptionCaptureCallback(null);
      take(error);
    });
    return;
  }
}
