import type { Clock } from "./clock.ts";

const WINDOW_MS = 60_000;

/**
 * The server's time, as far as it is known here. Everything that the server sends carries when it was stored or said, and
 * arrives later: so the server's time less this process' is at least the largest difference seen.
 *
 * E1. It is never ahead of the server's time. Timers that go by it are never early, whatever this machine's clock says.
 * E2. It is behind by no more than the fastest message of the last minute took.
 * E3. What was seen a minute or two ago does not count once something newer was seen: clocks drift, and servers change.
 *
 * Checked elsewhere:
 *   E1  server-clock.test.ts: is never ahead of the server's (E1)
 *   E2  server-clock.test.ts: is behind by no more than the fastest message of the last minute took (E2)
 *   E3  server-clock.test.ts: follows a server whose clock was set back (E3)
 */
export class ServerClock {
  readonly #clock: Pick<Clock, "now">;
  #windowStart = Number.NEGATIVE_INFINITY;
  #current = Number.NEGATIVE_INFINITY;
  #previous = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** Has anything been seen? */
  get known(): boolean {
    return this.#current > Number.NEGATIVE_INFINITY;
  }

  /** Something that the server stored or said at `at` has just arrived. */
  observe(at: number): void {
    const now = this.#clock.now();
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#previous = this.#current;
      this.#current = Number.NEGATIVE_INFINITY;
    }
    const ahead = at - now;
    if (ahead > this.#current) this.#current = ahead;
  }

  /** Epoch milliseconds; the machine's own until something was seen. */
  now(): number {
    const ahead = Math.max(this.#current, this.#previous);
    return this.#clock.now() + (this.known ? Math.floor(ahead) : 0);
  }
}
