import type { Clock } from "@stepstream/event-log";

const TICK_MS = 250;

/**
 * Notices when the process has been frozen (a stopped VM, a long garbage collection, an endless loop): what was
 * delivered meanwhile may have gone to another worker since.
 */
export class Stalls {
  readonly #clock: Clock;
  #lastTick: number;
  #lastStallEnd = Number.NEGATIVE_INFINITY;
  #lastStallMs = 0;
  #timer: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastTick = clock.now();
    this.#tick();
  }

  /** Was there a stall of more than `ms` that ended less than `ms` ago, or is there one now? */
  recently(ms: number): boolean {
    this.#look();
    return this.#lastStallMs > ms && this.#clock.now() - this.#lastStallEnd < ms;
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  #tick(): void {
    this.#look();
    this.#timer = this.#clock.setTimeout(() => this.#tick(), TICK_MS);
  }

  #look(): void {
    const now = this.#clock.now();
    const gap = now - this.#lastTick - TICK_MS;
    this.#lastTick = now;
    if (gap < TICK_MS) return;
    this.#lastStallEnd = now;
    this.#lastStallMs = gap;
  }
}
