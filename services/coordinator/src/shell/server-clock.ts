import type { Clock } from "@stepstream/event-log";

const WINDOW_MS = 60_000;

/**
 * The server's time as far as it is known here, never ahead of it: a message that was stored at `at`
 * arrives later, so this machine's clock minus the smallest difference seen is at most the server's.
 * Timers kept in memory go by it, and so are never early, whatever this machine's clock says.
 */
export class ServerClock {
  readonly #clock: Clock;
  #windowStart = 0;
  #current = Number.POSITIVE_INFINITY;
  #previous = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A message that the server stored at `at` has just arrived. */
  observe(at: number): void {
    const now = this.#clock.now();
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#previous = this.#current;
      this.#current = Number.POSITIVE_INFINITY;
    }
    this.#current = Math.min(this.#current, now - at);
  }

  /** Epoch milliseconds; the machine's own until a message has arrived. */
  now(): number {
    const offset = Math.min(this.#current, this.#previous);
    return this.#clock.now() - (Number.isFinite(offset) ? Math.ceil(offset) : 0);
  }
}
