import { markCancelReason } from "./rejections.ts";

/**
 * What was asked for inside a piece of workflow code, so that it can be cancelled as a whole. Scopes are a tree;
 * the root is the workflow function itself.
 *
 * C1. What is cancelled stays so: whatever is asked for in it later fails at once, with the same reason.
 * C2. A cancel goes down the tree, but not past a shield (`w.uncancellable`).
 *
 * C1 is asserted where a slot is opened ("scope C1"), C2 after each turn where checks are thorough ("scope C2", "life L2").
 */
export class Scope {
  /** Slots asked for in it and in all scopes below, those behind a shield left out, as long as they are open. */
  readonly slots = new Set<number>();
  /** The next one that a cancel would come down from; undefined behind a shield, and at the root. */
  readonly #above: Scope | undefined;
  /** It is that of an update's handler. */
  ofUpdate = false;
  /** The one that it was begun in, behind a shield too. */
  readonly parent: Scope | undefined;
  #reason: Error | (() => Error) | undefined;

  constructor(parent?: Scope, shield = false) {
    this.parent = parent;
    this.#above = shield ? undefined : parent;
  }

  /** Why it is cancelled, itself or by a scope above. */
  get cancelled(): Error | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.#above)
      if (scope.#reason) {
        if (typeof scope.#reason === "function") scope.#reason = markCancelReason(scope.#reason());
        return scope.#reason;
      }
    return undefined;
  }

  /**
   * @param reason - Or what makes it: nearly every run ends with nobody left to hear it.
   * @returns false if it was cancelled before.
   */
  mark(reason: Error | (() => Error)): boolean {
    if (this.#reason) return false;
    this.#reason = typeof reason === "function" ? reason : markCancelReason(reason);
    return true;
  }

  add(slot: number): void {
    for (let scope: Scope | undefined = this; scope; scope = scope.#above) scope.slots.add(slot);
  }

  delete(slot: number): void {
    for (let scope: Scope | undefined = this; scope; scope = scope.#above) scope.slots.delete(slot);
  }

  /** Does it belong to the handler of an update? */
  get isOfUpdate(): boolean {
    for (let at: Scope | undefined = this; at; at = at.parent) if (at.ofUpdate) return true;
    return false;
  }

  /** Would a cancel of `other` reach it? */
  isWithin(other: Scope): boolean {
    for (let scope: Scope | undefined = this; scope; scope = scope.#above) if (scope === other) return true;
    return false;
  }
}
