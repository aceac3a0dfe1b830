import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";

/** Whose code the main thread is in. */
export interface Whose {
  readonly execution: RunExecution;
  /** In the handler of this query, which is no part of the run's history. */
  readonly query: string | undefined;
}

let current: Whose | undefined;

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
  const before = current;
  current = { execution, query };
  try {
    return fn();
  } finally {
    current = before;
  }
}

/** Whose code runs now, whether in a frame or on behalf of a run. */
export function whoseCode(): Whose | undefined {
  const frame = frames.getStore();
  return frame ? { execution: frame.execution, query: frame.query } : current;
}

/** Code that is stopped does not come to its `finally`. */
export function forgetWhose(): void {
  current = undefined;
}
