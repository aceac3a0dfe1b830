import type { Subscription } from "./port.ts";

/**
 * Calls back without ever throwing. In nats.js a callback that throws ends the reader of the whole connection: it looks
 * open, receives nothing, and its process stays alive and idle until pings are missed.
 *
 * C1. What a callback throws, or its promise rejects with, is reported and goes no further.
 * C2. So is what a listener of reports throws: as a warning of the process.
 *
 * Checked elsewhere:
 *   C1  test/conformance/suite.ts: is reported, and ends nothing
 *   C2  callbacks.test.ts: what a listener of reports throws is a warning of the process
 */
export class Callbacks {
  readonly #listeners = new Set<(what: string, error: unknown) => void>();

  onError(fn: (what: string, error: unknown) => void): Subscription {
    // A wrapper each: the same function may listen twice.
    const own = (what: string, error: unknown) => fn(what, error);
    this.#listeners.add(own);
    return { stop: () => void this.#listeners.delete(own) };
  }

  /** @param what - For people: what the callback is for. */
  call(what: string, fn: () => unknown): void;
  call<A>(what: string, fn: (a: A) => unknown, a: A): void;
  call<A, B>(what: string, fn: (a: A, b: B) => unknown, a: A, b: B): void;
  // Not `...args`: each message comes by here, and would have a list of its own.
  call(what: string, fn: (a?: any, b?: any) => unknown, a?: unknown, b?: unknown): void {
    try {
      const result = fn(a, b);
      if (result instanceof Promise) result.catch((error) => this.report(what, error));
    } catch (error) {
      this.report(what, error);
    }
  }

  /** The value of a callback, or `otherwise` if it throws. */
  value<T>(what: string, fn: () => T, otherwise: T): T {
    try {
      return fn();
    } catch (error) {
      this.report(what, error);
      return otherwise;
    }
  }

  report(what: string, error: unknown): void {
    if (this.#listeners.size === 0) return warn(what, error);
    for (const listener of [...this.#listeners]) {
      try {
        listener(what, error);
      } catch (thrown) {
        warn(what, thrown);
      }
    }
  }
}

function warn(what: string, error: unknown): void {
  process.emitWarning(`${what} threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, {
    type: "StepstreamWarning",
  });
}
