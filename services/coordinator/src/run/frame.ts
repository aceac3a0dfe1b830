import { AsyncLocalStorage } from "node:async_hooks";
import type { RunExecution } from "./execution.ts";
import type { Rejections } from "./rejections.ts";
import type { Scope } from "./scope.ts";

/**
 * "Which run is this code part of?" The answer follows the workflow's own promises through every await,
 * so that helpers, library code and floating promises are known too.
 */
export interface Frame {
  readonly execution: RunExecution;
  readonly scope: Scope;
  /** Of the run segment that the code belongs to. */
  readonly rejections: Rejections;
  /** Code that may look, but not change anything: queries, conditions, validators. */
  readonly readOnly?: true;
  /** The handler of this query. */
  readonly query?: string;
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

/**
 * Refuses what an async function returned where only a synchronous one works.
 * @throws {TypeError} The value is a promise. Its rejection, if any, is reported by this error alone.
 */
export function mustBeSync<T>(value: T, what: string, instead: string): T {
  if (!isThenable(value)) return value;
  Promise.resolve(value).catch(() => {});
  throw new TypeError(`${what} is async, but must not return a promise. ${instead}`);
}

function isThenable(value: unknown): boolean {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

/** For code that must not go on. */
export function never(): Promise<never> {
  return new Promise(() => {});
}
