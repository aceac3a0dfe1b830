import type { Clock } from "@stepstream/event-log";

/**
 * Many things to be looked at after the same delay, with one timer for all of them: they come due in the order they
 * were added in. Nothing is ever taken out; whoever is called sees for himself whether it still matters.
 */
export class DelayQueue {
  readonly #clock: Clock;
  readonly #delayMs: number;
  #waiting: { at: number; fn: () => void }[] = [];
  #next = 0;
  #timer: unknown;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  add(fn: () => void): void {
    this.#waiting.push({ at: this.#clock.now() + this.#delayMs, fn });
    this.#timer ??= this.#clock.setTimeout(() => this.#run(), this.#delayMs);
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#waiting = [];
    this.#next = 0;
  }

  #run(): void {
    const now = this.#clock.now();
    while (this.#next < this.#waiting.length && this.#waiting[this.#next]!.at <= now) this.#waiting[this.#next++]!.fn();
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
    const first = this.#waiting[0];
    this.#timer = first && this.#clock.setTimeout(() => this.#run(), first.at - now);
  }
}
