import { AsyncLocalStorage } from "node:async_hooks";
import type { RunExecution } from "./execution.ts";

/**
 * "Which run is this code part of?" The answer follows the workflow's own promises through every await,
 * so that helpers, library code and floating promises are known too.
 */
export interface Frame {
  readonly execution: RunExecution;
  readonly scope: Scope;
}

export const frames = new AsyncLocalStorage<Frame>();

/** What was asked for inside a piece of workflow code, so that it can be cancelled as a whole. */
export class Scope {
  readonly #parent: Scope | undefined;
  readonly slots = new Set<number>();

  constructor(parent?: Scope) {
    this.#parent = parent;
  }

  add(slot: number): void {
    this.slots.add(slot);
    this.#parent?.add(slot);
  }
}
