import type { Clock, Delivery } from "@stepstream/event-log";
import type { Watched } from "./pulse.ts";
import type { Running } from "./running.ts";

/**
 * A command in hand, from its delivery to its ack.
 *
 * H1. It is kept alive (`working()`, every third of the ack wait) for as long as it is in hand, queued or
 *     running, with a heartbeat of its own or without: a process that dies falls silent either way, and a
 *     handler that falls silent is stopped by its own clock, here, while the command is still ours.
 * H2. After a silence of over half the ack wait it is suspect: another worker may have it. Then it is not
 *     nak'ed (a stale nak would give it to a third at once; it comes again by itself), and its outcome is
 *     stored only after a look for another's.
 *
 * Checked elsewhere:
 *   H1  ../../test/worker.test.ts: keeps a long attempt in the hands of its worker
 *   H2  ../../test/worker.test.ts: that was frozen while another did its work says nothing
 */
export class Held implements Watched {
  delivery: Delivery;
  /** By this process' clock. */
  readonly takenAt: number;
  running: Running | undefined;
  /** How it was given up: for good, to come again later, or in silence. */
  end: "ack" | "nak" | "silence" | undefined;
  readonly #clock: Clock;
  readonly #ackWaitMs: number;
  #aliveAt: number;
  #suspect: boolean;

  constructor(delivery: Delivery, clock: Clock, ackWaitMs: number, suspect: boolean) {
    this.delivery = delivery;
    this.#clock = clock;
    this.#ackWaitMs = ackWaitMs;
    this.takenAt = clock.now();
    this.#aliveAt = this.takenAt;
    this.#suspect = suspect;
  }

  dueAt(): number {
    const next = this.#aliveAt + this.#ackWaitMs / 3;
    return this.running ? Math.min(next, this.running.dueAt()) : next;
  }

  onDue(now: number): void {
    if (now >= this.#aliveAt + this.#ackWaitMs / 3) {
      this.isSuspect();
      this.#aliveAt = now;
      this.delivery.working();
    }
    this.running?.onDue(now);
  }

  isSuspect(): boolean {
    if (this.#clock.now() - this.#aliveAt > this.#ackWaitMs / 2) this.#suspect = true;
    return this.#suspect;
  }

  /** Something has happened that may have cost us the command: a reconnection, a stall. */
  suspectFrom(stalledMs: number): void {
    if (stalledMs > this.#ackWaitMs / 2) this.#suspect = true;
  }

  /** The same command has come again while it is in hand: it is kept by its newest delivery. */
  adopt(delivery: Delivery): void {
    // Nobody had it in between; before, it may have been anybody's.
    if (delivery.deliveries > this.delivery.deliveries + 1) this.#suspect = true;
    this.delivery = delivery;
    this.#aliveAt = this.#clock.now();
  }

  ack(): void {
    this.end = "ack";
    this.delivery.ack();
  }

  /** Another worker has it: nothing is said. */
  leave(): void {
    this.end = "silence";
  }

  nak(delayMs: number): void {
    this.end = "nak";
    if (!this.isSuspect()) this.delivery.nak(delayMs);
  }
}
