/**
 * The rejections of a run segment that no code has handled yet.
 *
 * J1. A rejection counts only if it is still unhandled when the workflow function ends: awaiting it later is fine.
 * J2. What the engine rejects because it cancels (losers of a group, a scope, the end of the run) never counts.
 *
 * Asserted where one fails the run: in closing.ts ("rejections J1", "rejections J2").
 */
export class Rejections {
  /** Made when it is needed: nearly every run has none. */
  #open: Map<Promise<unknown>, unknown> | undefined;

  /** Node reports a rejection that nothing handles, after the microtasks of the turn. */
  unhandled(promise: Promise<unknown>, reason: unknown): void {
    if (isCancelReason(reason) || this.count >= MAX_KEPT) return;
    this.#open ??= new Map();
    this.#open.set(promise, reason);
    segmentOf.set(promise, this);
  }

  get count(): number {
    return this.#open?.size ?? 0;
  }

  /** What the first of them was rejected with. */
  get first(): unknown {
    return this.#open?.values().next().value;
  }

  #forget(promise: Promise<unknown>): boolean {
    return this.#open?.delete(promise) ?? false;
  }

  /** Node reports that a rejection is handled after all. @returns whether it is one of a workflow. */
  static handled(promise: Promise<unknown>): boolean {
    const segment = segmentOf.get(promise);
    return segment ? segment.#forget(promise) : false;
  }
}

/** Of one run segment, so that a loop of rejections cannot fill the memory. */
const MAX_KEPT = 1_000;
const MAX_CAUSES = 20;
const segmentOf = new WeakMap<Promise<unknown>, Rejections>();
const cancelReasons = new WeakSet<object>();

/** Remembers an error as one that the engine rejects with because it cancels something. */
export function markCancelReason<E extends Error>(reason: E): E {
  cancelReasons.add(reason);
  return reason;
}

/**
 * Does the engine's own cancelling explain this rejection, directly or as a cause? Never throws: it is asked in Node's
 * listener, where an exception of a getter or a proxy would belong to no run and end the process.
 */
export function isCancelReason(reason: unknown): boolean {
  try {
    return isExplained(reason);
  } catch {
    // The engine's own errors are plain: this is not one of them.
    return false;
  }
}

function isExplained(reason: unknown): boolean {
  let error = reason;
  for (let depth = 0; depth < MAX_CAUSES && typeof error === "object" && error !== null; depth++) {
    if (cancelReasons.has(error)) return true;
    if (error instanceof AggregateError && Array.isArray(error.errors) && error.errors.length > 0)
      return error.errors.every((inner) => typeof inner === "object" && inner !== null && cancelReasons.has(inner));
    error = (error as { cause?: unknown }).cause;
  }
  return false;
}
