import type { Clock } from "@stepstream/event-log";

/** Timers by key, all of them cancelled in one go. Setting one again replaces it. */
export class LocalTimers {
  readonly #clock: Clock;
  readonly #handles = new Map<string, unknown>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(key: string, ms: number, fn: () => void): void {
    this.clear(key);
    const handle = this.#clock.setTimeout(
      () => {
        this.#handles.delete(key);
        fn();
      },
      Math.max(0, ms),
    );
    this.#handles.set(key, handle);
  }

  has(key: string): boolean {
    return this.#handles.has(key);
  }

  clear(key: string): void {
    const handle = this.#handles.get(key);
    if (handle === undefined) return;
    this.#handles.delete(key);
    this.#clock.clearTimeout(handle);
  }

  clearAll(): void {
    for (const handle of this.#handles.values()) this.#clock.clearTimeout(handle);
    this.#handles.clear();
  }
}
