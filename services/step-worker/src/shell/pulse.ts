import type { Clock } from "@stepstream/event-log";

/**
 * One timer for all commands in hand: it keeps them alive and watches their deadlines.
 *
 * U1. It wakes for the earliest deadline, and at least every `beatMs`. An attempt that ends soon costs no
 *     timer: its first deadline is later than that.
 * U2. It notices that the process was frozen (or its event loop blocked): a wake-up much too late, or none
 *     where one was due. What is in hand by then, or comes in shortly after, may belong to another worker.
 * U3. It notices that the machine slept: its clock has gone on, and the time that counts durations has not. A machine's
 *     clock that is set forward looks the same; that costs some looks at the log, and nothing else.
 *
 * Checked elsewhere:
 *   U1  ../../test/worker.test.ts: aborts a slow attempt, which counts as failed once its handler has ended
 *   U2  ../../test/worker.test.ts: that was frozen while another did its work reports no outcome
 *   U3  ../../test/leases.test.ts: asks again, before its handler begins,
 */
export interface Watched {
  /** When it wants to be looked after next, in epoch milliseconds. */
  dueAt(): number;
  onDue(now: number): void;
}

export class Pulse {
  readonly #clock: Clock;
  #beatMs: number;
  readonly #onStall: (lateMs: number) => void;
  readonly #watched = new Set<Watched>();
  #timer: unknown;
  #wakeAt = Number.POSITIVE_INFINITY;
  /** How far the machine's clock was ahead when this was last woken or armed. */
  #wallAheadMs = 0;
  #stall = { lateMs: 0, until: 0 };
  #running = false;

  /** @param onStall - Called with each wake-up that comes too late. */
  constructor(clock: Clock, beatMs: number, onStall: (lateMs: number) => void) {
    this.#clock = clock;
    this.#beatMs = beatMs;
    this.#onStall = onStall;
  }

  start(): void {
    this.#running = true;
    this.#wallAheadMs = this.#aheadMs(this.#clock.now());
    this.#arm(this.#clock.now() + this.#beatMs);
  }

  stop(): void {
    this.#running = false;
    this.#clock.clearTimeout(this.#timer);
    this.#watched.clear();
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
    this.sooner(watched.dueAt());
  }

  remove(watched: Watched): void {
    this.#watched.delete(watched);
  }

  /** What is in hand has to be kept alive more often, or at other times, than before. */
  faster(beatMs: number): void {
    this.#beatMs = Math.min(this.#beatMs, beatMs);
    for (const watched of this.#watched) this.sooner(watched.dueAt());
    this.sooner(this.#clock.now() + this.#beatMs);
  }

  /** Something has become due earlier than before. */
  sooner(dueAt: number): void {
    if (dueAt < this.#wakeAt && this.#running) this.#arm(dueAt);
  }

  /** How long this process has just been frozen, in milliseconds; 0 if it has not. */
  stalledMs(now: number): number {
    return now < this.#stall.until ? this.#stall.lateMs : this.overdueMs(now);
  }

  /** How long it has been frozen without a wake-up since, in milliseconds. */
  overdueMs(now: number): number {
    return Math.max(0, now - this.#wakeAt) + this.#sleptMs(now);
  }

  #sleptMs(now: number): number {
    return Math.max(0, this.#aheadMs(now) - this.#wallAheadMs);
  }

  #aheadMs(now: number): number {
    return (this.#clock.wall?.() ?? now) - now;
  }

  #arm(at: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#wakeAt = at;
    this.#timer = this.#clock.setTimeout(() => this.#wake(), Math.max(0, at - this.#clock.now()));
  }

  #wake(): void {
    this.#timer = undefined;
    if (!this.#running) return;
    const now = this.#clock.now();
    const lateMs = now - this.#wakeAt + this.#sleptMs(now);
    this.#wallAheadMs = this.#aheadMs(now);
    // Small delays are everyday; they are not worth remembering.
    if (lateMs > this.#beatMs / 2) {
      this.#stall = { lateMs, until: now + this.#beatMs };
      this.#onStall(lateMs);
    }
    let next = now + this.#beatMs;
    this.#wakeAt = next;
    for (const watched of this.#watched) {
      if (watched.dueAt() <= now) watched.onDue(now);
      next = Math.min(next, watched.dueAt());
    }
    // Not at once again, should something stay due.
    if (this.#running) this.#arm(Math.max(next, now + 1));
  }
}
