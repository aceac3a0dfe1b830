/**
 * What was asked for inside a piece of workflow code, so that it can be cancelled as a whole. Scopes are a tree;
 * the root is the workflow function itself.
 *
 * C1. What is cancelled stays so: whatever is asked for in it later fails at once, with the same reason.
 * C2. A cancel goes down the tree, but not past a shield (`w.uncancellable`).
 */
export class Scope {
  /** Slots asked for in it and in all scopes below, those behind a shield left out, as long as they are open. */
  readonly slots = new Set<number>();
  readonly #parent: Scope | undefined;
  readonly #shield: boolean;
  #reason: Error | undefined;

  constructor(parent?: Scope, shield = false) {
    this.#parent = parent;
    this.#shield = shield;
  }

  /** Why it is cancelled, itself or by a scope above. */
  get cancelled(): Error | undefined {
    for (const scope of this.#upwards()) if (scope.#reason) return scope.#reason;
    return undefined;
  }

  /** @returns false if it was cancelled before. */
  mark(reason: Error): boolean {
    if (this.#reason) return false;
    this.#reason = reason;
    return true;
  }

  add(slot: number): void {
    for (const scope of this.#upwards()) scope.slots.add(slot);
  }

  delete(slot: number): void {
    for (const scope of this.#upwards()) scope.slots.delete(slot);
  }

  /** Would a cancel of `other` reach it? */
  isWithin(other: Scope): boolean {
    for (const scope of this.#upwards()) if (scope === other) return true;
    return false;
  }

  /** Itself and what is above, up to the nearest shield. */
  *#upwards(): Generator<Scope> {
    for (let scope: Scope | undefined = this; scope; scope = scope.#shield ? undefined : scope.#parent) yield scope;
  }
}
