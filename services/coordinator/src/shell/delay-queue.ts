import type { Clock } from "@stepstream/event-log";

/** Something to be looked at later. Set `fn` to undefined where it does not matter any more: what it holds is let go. */
export interface Later {
  readonly at: number;
  fn: (() => void) | undefined;
}

/**
 * Many things to be looked at after the same delay, with one timer for all of them: they come due in the order they
 * were added in.
 */
export class DelayQueue {
  readonly #clock: Clock;
  readonly #delayMs: number;
  #waiting: Later[] = [];
  #next = 0;
  #timer: unknown;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  add(fn: () => void): Later {
    const later: Later = { at: this.#clock.now() + this.#delayMs, fn };
    this.#waiting.push(later);
    this.#timer ??= this.#clock.setTimeout(() => this.#run(), this.#delayMs);
    return later;
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#waiting = [];
    this.#next = 0;
  }

  #run(): void {
    const now = this.#clock.now();
    while (this.#next < this.#waiting.length && this.#waiting[this.#next]!.at <= now)
      this.#waiting[this.#next++]!.fn?.();
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
    const first = this.#waiting[0];
    this.#timer = first && this.#clock.setTimeout(() => this.#run(), first.at - now);
  }
}
