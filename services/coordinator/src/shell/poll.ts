import { type Clock, Retry } from "@stepstream/event-log";

/**
 * Looks at something that no message reports.
 *
 * O1. One look at a time. What is asked for meanwhile is one more look after it.
 * O2. A look that fails is repeated, after growing waits, with one retry pending; one that asks for another has one.
 *
 * Checked elsewhere:
 *   O1 O2  poll.test.ts: are one at a time, and one more after those that were asked for meanwhile
 */
export class Poll {
  readonly #clock: Clock;
  readonly #look: () => Promise<number | void>;
  readonly #onFailed: (error: unknown) => void;
  readonly #retry: Retry;
  #soon: unknown;
  #looking = false;
  #asked = false;
  #stopped = false;

  /** @param look - What it resolves with: in how many milliseconds to look again; undefined for not by itself. */
  constructor(clock: Clock, look: () => Promise<number | void>, onFailed: (error: unknown) => void) {
    this.#clock = clock;
    this.#look = look;
    this.#onFailed = onFailed;
    this.#retry = new Retry(clock, () => this.now(), { firstMs: 500, longestMs: 5_000 });
  }

  now(): void {
    this.#asked = true;
    if (!this.#looking) void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#retry.stop();
    this.#clock.clearTimeout(this.#soon);
  }

  async #run(): Promise<void> {
    this.#looking = true;
    while (this.#asked && !this.#stopped) {
      this.#asked = false;
      this.#clock.clearTimeout(this.#soon);
      try {
        const againMs = await this.#look();
        this.#retry.done();
        if (typeof againMs === "number" && !this.#stopped)
          this.#soon = this.#clock.setTimeout(() => this.now(), againMs);
      } catch (error) {
        if (this.#stopped) break;
        this.#onFailed(error);
        this.#retry.schedule();
      }
    }
    this.#looking = false;
  }
}
