import { type Clock, sleep } from "@stepstream/event-log";

/** Spreads background work over time: a coordinator that takes over thousands of runs has other work to do. */
export class Pace {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #next = 0;

  /** @param perSecond - Units of work. */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#everyMs = 1_000 / perSecond;
  }

  /** Waits for its turn. @param units - How much is to be done then. */
  async turn(units = 1): Promise<void> {
    const now = this.#clock.now();
    const at = Math.max(this.#next, now);
    this.#next = at + units * this.#everyMs;
    if (at > now) await sleep(this.#clock, at - now);
  }
}
