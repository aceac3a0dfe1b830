import { type Deferred, deferred, frames, mustBeSync } from "./frame.ts";
import type { Observer } from "./observer.ts";
import { markCancelReason } from "./rejections.ts";
import type { Scope } from "./scope.ts";

/** Workflow code that waits for something that is no slot: a signal, a condition. */
export interface Wait extends Deferred<unknown> {
  readonly scope: Scope | undefined;
  /** Which wait of this run segment it is, from 1. */
  readonly number: number;
  readonly condition: (() => boolean) | undefined;
  /** A callback of the workflow follows on it: it is not in an async function that nobody knows. */
  followed: boolean;
  /** The signal that it is for. */
  readonly signal: string | undefined;
  /** Called once, when it is over, however that came. */
  readonly onOver: (() => void) | undefined;
}

/** All waits of one life of a run, in the order they were begun in. */
export class Waits {
  readonly #observer: Observer | undefined;
  /** Made when it is needed: many runs wait for steps only. */
  #open: Set<Wait> | undefined;
  #conditions = 0;
  #asked = 0;

  constructor(observer?: Observer) {
    this.#observer = observer;
  }

  get size(): number {
    return this.#open?.size ?? 0;
  }

  has(wait: Wait): boolean {
    return this.#open?.has(wait) ?? false;
  }

  get open(): Iterable<Wait> {
    return this.#open ?? [];
  }

  /** The number of the last wait that was begun before this turn. */
  before = 0;

  beginTurn(): void {
    this.before = this.#asked;
  }

  add(options: { condition?: () => boolean; signal?: string; onOver?: () => void } = {}): Wait {
    const { condition, signal, onOver } = options;
    const scope = frames.getStore()?.scope;
    const wait: Wait = {
      ...deferred<unknown>(),
      scope,
      number: ++this.#asked,
      condition,
      followed: false,
      signal,
      onOver,
    };
    this.#open ??= new Set();
    this.#open.add(wait);
    this.#observer?.asked(wait);
    if (condition) this.#conditions++;
    return wait;
  }

  resolve(wait: Wait, value: unknown): void {
    if (this.#take(wait)) wait.resolve(value);
  }

  reject(wait: Wait, reason: Error): void {
    if (this.#take(wait)) wait.reject(reason);
  }

  /** Ends a wait because its result is not needed any more. */
  withdraw(wait: Wait, reason: Error): void {
    this.reject(wait, markCancelReason(reason));
  }

  cancel(scope: Scope, reason: Error): void {
    for (const wait of this.open) if (wait.scope?.isWithin(scope)) this.withdraw(wait, reason);
  }

  /** Resolves the waits whose condition holds now. @returns whether there were any. */
  check(): boolean {
    if (this.#conditions === 0) return false;
    let any = false;
    for (const wait of this.open) {
      if (!wait.condition) continue;
      try {
        if (!holds(wait.condition)) continue;
        this.resolve(wait, true);
      } catch (error) {
        this.reject(wait, error as Error);
      }
      any = true;
    }
    return any;
  }

  #take(wait: Wait): boolean {
    if (!this.#open?.delete(wait)) return false;
    if (wait.condition) this.#conditions--;
    wait.onOver?.();
    return true;
  }
}

/** @throws What the condition throws; a TypeError if it is async: a promise would always count as true. */
export function holds(condition: () => boolean): boolean {
  return mustBeSync(condition(), "The condition of w.until()", "It is asked again after every message of the history.");
}
