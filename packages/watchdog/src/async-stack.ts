/**
 * Empties the stack of async ids that Node.js keeps for the code that runs now.
 *
 * Code that V8 terminates does not come to the `finally` that takes its id off that stack, and Node.js ends the process
 * when it finds the id there later ("async hook stack has become corrupted", or a failed assertion). For an uncaught
 * exception that somebody handles, Node.js empties the stack itself; so we have it handle one, which nobody sees.
 */
export function emptyAsyncStack(): void {
  const internals = process as typeof process & { _fatalException?: (error: unknown) => boolean };
  const own = Object.getOwnPropertyDescriptor(process, "emit");
  // Handled: without any listener being called.
  Object.defineProperty(process, "emit", { value: () => true, configurable: true, writable: true });
  try {
    internals._fatalException?.(new Error("Code that blocked the event loop is being stopped."));
  } finally {
    if (own) Object.defineProperty(process, "emit", own);
    else Reflect.deleteProperty(process, "emit");
  }
}
