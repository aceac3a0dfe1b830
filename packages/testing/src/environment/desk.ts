import { clearTimeout, setTimeout } from "node:timers";
import type { Clock } from "@stepstream/event-log";
import { macrotasksOver } from "../clock.ts";

/** One call of a handler. */
class Call {
  /** Timers of virtual time that it waits for. */
  readonly timers = new Set<unknown>();
  readonly process: unknown;
  givenUp = false;

  constructor(process: unknown) {
    this.process = process;
  }

  get working(): boolean {
    return this.timers.size === 0 && !this.givenUp;
  }
}

/**
 * The handlers that are under way.
 *
 * D1. While one works on something real (a file, a database), virtual time does not pass.
 * D2. One that waits for virtual time, by `ctx.sleep` or `ctx.clock`, does not hold it up.
 * D3. Nor does one that has done nothing for so long in real time: it probably waits to be aborted.
 */
export class Desk {
  readonly #patienceMs: number;
  readonly #calls = new Set<Call>();
  #changed = Promise.withResolvers<void>();

  /** @param patienceMs - Of D3. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /**
   * Runs a handler.
   * @param process - Whose it is.
   * @param handle - Gets a clock; timers of that are known to be waits for virtual time.
   */
  async serve<T>(process: unknown, clock: Clock, handle: (clock: Clock) => T | Promise<T>): Promise<T> {
    const call = new Call(process);
    this.#calls.add(call);
    try {
      return await handle(this.#clockOf(call, clock));
    } finally {
      this.#calls.delete(call);
      this.#change();
    }
  }

  /** The process is dead; whatever its handlers still do counts for nothing. */
  leave(process: unknown): void {
    for (const call of this.#calls) if (call.process === process) this.#calls.delete(call);
    this.#change();
  }

  /** Resolves when all that is under way waits for virtual time. */
  async settled(): Promise<void> {
    await macrotasksOver();
    while ([...this.#calls].some((call) => call.working)) {
      const working = [...this.#calls].filter((call) => call.working);
      if (!(await this.#changesWithin(this.#patienceMs))) for (const call of working) call.givenUp = true;
      await macrotasksOver();
    }
  }

  #clockOf(call: Call, clock: Clock): Clock {
    return {
      now: () => clock.now(),
      random: () => clock.random(),
      setTimeout: (fn, ms) => {
        const handle = clock.setTimeout(() => {
          call.timers.delete(handle);
          fn();
        }, ms);
        call.timers.add(handle);
        this.#change();
        return handle;
      },
      clearTimeout: (handle) => {
        call.timers.delete(handle);
        clock.clearTimeout(handle);
      },
    };
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** @returns whether something has changed in so much real time. */
  async #changesWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const changed = await Promise.race([this.#changed.promise.then(() => true), over]);
    clearTimeout(timer);
    return changed;
  }
}
