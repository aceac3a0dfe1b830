import type { Clock } from "./clock.ts";

/**
 * When to try again what depends on something outside.
 *
 *   wait before try n = min(first × 2ⁿ⁻¹, longest), of which a random half is left out
 *
 * T1. One purpose has at most one retry pending, however often and from wherever it is asked for.
 * T2. The waits grow, and no wait is longer than `longestMs`: what was wrong is noticed to be right within that time.
 * T3. Half of each wait is random, so that processes that failed together do not come back together.
 *
 * Checked elsewhere:
 *   T1  retry.test.ts: is pending once, however often it is asked for, also by what it does
 *   T2 T3  retry.test.ts: double up to the longest, and half of each is random
 */
export interface RetryWaits {
  /** Default 50. */
  firstMs?: number;
  /** Default 2,000. */
  longestMs?: number;
}

/** The waits between the tries of one thing. */
export class Backoff {
  readonly #clock: Clock;
  readonly #firstMs: number;
  readonly #longestMs: number;
  #nextMs: number;

  constructor(clock: Clock, { firstMs = 50, longestMs = 2_000 }: RetryWaits = {}) {
    this.#clock = clock;
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#nextMs = firstMs;
  }

  /** After a failure: how long to wait before the next try, in whole milliseconds. */
  next(): number {
    const most = this.#nextMs;
    this.#nextMs = Math.min(most * 2, this.#longestMs);
    return Math.ceil(most * (0.5 + this.#clock.random() / 2));
  }

  /** After a success. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}

/** Does one thing again later. */
export class Retry {
  readonly #clock: Clock;
  readonly #act: () => void;
  readonly #backoff: Backoff;
  #timer: unknown;
  #stopped = false;

  constructor(clock: Clock, act: () => void, waits?: RetryWaits) {
    this.#clock = clock;
    this.#act = act;
    this.#backoff = new Backoff(clock, waits);
  }

  get pending(): boolean {
    return this.#timer !== undefined;
  }

  /** It has failed: it is done again. Nothing new happens if that is pending already (T1). */
  schedule(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      if (!this.#stopped) this.#act();
    }, this.#backoff.next());
  }

  /** It has succeeded: what is pending is dropped, and the waits begin again with the shortest. */
  done(): void {
    this.#clear();
    this.#backoff.reset();
  }

  /** For good. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
  }

  #clear(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
