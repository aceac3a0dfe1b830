import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";

/** Whose code the main thread is in. */
export interface Whose {
  readonly execution: RunExecution;
  /** In the handler of this query, which is no part of the run's history. */
  readonly query: string | undefined;
}

let current: Whose | undefined;
/** Runs in a turn, in the order of its beginning: code of one of them is what runs outside of `current`. */
const inTurn = new Set<RunExecution>();

export function turnBegan(execution: RunExecution): void {
  inTurn.add(execution);
}
export function turnEnded(execution: RunExecution): void {
  inTurn.delete(execution);
}

/** Handlers of queries that were stopped in this process, and why. They are not called again in it. */
export const stoppedQueries = new Map<string, string>();

export function queryKey({ workflow }: RunExecution, query: string): string {
  return `${workflow.name}@${workflow.version}/${query}`;
}

/**
 * Calls what may call code of a run's workflow without its frame: schemas, getters, `toJSON`, side effects. The watchdog
 * asks whose code runs in the middle of it.
 */
export function onBehalfOf<T>(execution: RunExecution, fn: () => T, query?: string): T {
  const before = enter({ execution, query });
  try {
    return fn();
  } finally {
    leave(before);
  }
}

/** The same in two halves, for turns: they are many. @returns To be handed to `leave`, whatever happens in between. */
export function enter(whose: Whose): Whose | undefined {
  const before = current;
  current = whose;
  return before;
}
export function leave(before: Whose | undefined): void {
  current = before;
}

/** Whose code runs now, whether in a frame or on behalf of a run. */
export function whoseCode(): Whose | undefined {
  const frame = frames.getStore();
  return frame ? { execution: frame.execution, query: frame.query } : current;
}

/**
 * Whose code was stopped, as far as that can be said when its frame is gone: several, if several were in a turn at once.
 * To be called before anything else runs.
 */
export function whoseWereStopped(): Whose[] {
  return current ? [current] : [...inTurn].map((execution) => ({ execution, query: undefined }));
}

/** Code that is stopped does not come to its `finally`, and turns do not come to their end. */
export function forgetWhose(): void {
  current = undefined;
  inTurn.clear();
}
