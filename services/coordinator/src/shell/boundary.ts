/**
 * The end of a turn: the next macrotask, when all microtasks of workflow code have run.
 *
 * One boundary is shared by all runs that wait for one, so a turn costs no timer of its own.
 */
export type Boundary = () => Promise<void>;

/** @param macrotask - Calls back in the next macrotask. Default `setImmediate`. */
export function createBoundary(macrotask: (fn: () => void) => void = (fn) => void setImmediate(fn)): Boundary {
  let next: Promise<void> | undefined;
  return () => {
    next ??= new Promise((resolve) =>
      macrotask(() => {
        next = undefined;
        resolve();
      }),
    );
    return next;
  };
}
