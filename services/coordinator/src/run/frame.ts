import { AsyncLocalStorage } from "node:async_hooks";
import type { RunExecution } from "./execution.ts";
import type { Scope } from "./scope.ts";

/**
 * "Which run is this code part of?" The answer follows the workflow's own promises through every await,
 * so that helpers, library code and floating promises are known too.
 */
export interface Frame {
  readonly execution: RunExecution;
  readonly scope: Scope;
  /** Code that may look, but not change anything: queries, conditions, validators. */
  readonly readOnly?: true;
}

export const frames = new AsyncLocalStorage<Frame>();

/** A promise of workflow code, settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: Error) => void;
}

/** Rejects inside the workflow's frame, so that a rejection nobody handles is known to be this run's. */
export function deferred<T>(): Deferred<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const frame = frames.getStore();
  return { promise, resolve, reject: (reason) => (frame ? frames.run(frame, reject, reason) : reject(reason)) };
}

/** For code that must not go on. */
export function never(): Promise<never> {
  return new Promise(() => {});
}
