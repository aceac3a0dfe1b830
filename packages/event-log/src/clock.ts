import { epochMs, steadyMs } from "@stepstream/contracts";

/** Time as data's supplier: real in production, virtual and seeded in simulations. */
export interface Clock {
  /**
   * Milliseconds, for durations: it does not jump when the machine's clock is set. It began as epoch milliseconds, and may be
   * any time away from the server's: what the server stores is compared with `EventLog.serverNow()`.
   */
  now(): number;
  /**
   * The machine's clock, in epoch milliseconds: for people, and to notice what `now()` does not count, such as the time in
   * which a laptop slept. Absent in virtual time.
   */
  wall?(): number;
  /** Calls `fn` once, not before `ms` milliseconds have passed, however many that are. */
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  /** A number in [0, 1), for jitter and ids. */
  random(): number;
}

/** The longest wait of Node's timers, in milliseconds: 24.8 days. They fire a longer one at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** A wait that is longer than Node's timers can be: several of them, one after the other. */
class LongTimer {
  timer: NodeJS.Timeout;
  #kept = true;

  constructor(fn: () => void, ms: number) {
    this.timer = setTimeout(() => this.#next(fn, ms - LONGEST_MS), LONGEST_MS);
  }

  /** As of Node's: it does not keep the process alive. */
  unref(): this {
    this.#kept = false;
    this.timer.unref();
    return this;
  }

  #next(fn: () => void, leftMs: number): void {
    if (leftMs <= 0) return fn();
    const hopMs = Math.min(LONGEST_MS, leftMs);
    this.timer = setTimeout(() => this.#next(fn, leftMs - hopMs), hopMs);
    if (!this.#kept) this.timer.unref();
  }
}

/** The real one. */
export const systemClock: Clock = {
  now: steadyMs,
  wall: epochMs,
  setTimeout: (fn, ms) => (ms > LONGEST_MS ? new LongTimer(fn, ms) : setTimeout(fn, ms)),
  clearTimeout: (handle) => clearTimeout(handle instanceof LongTimer ? handle.timer : (handle as NodeJS.Timeout)),
  random: () => Math.random(),
};

/** @returns after `ms` milliseconds of that clock. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, ms));
}
