import type { Clock, Delivery } from "@stepstream/event-log";
import type { KeepAlive, Kept } from "@stepstream/event-log/jetstream";
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
 *     stored only after a look for another's. Keep-alives of the keep-alive thread count.
 * H3. It is kept alive at once where the server may take it for older than it is. A server that starts, or a replica that
 *     becomes the consumer's leader, counts the ack wait from when the command was stored, or from its last `working()`: not
 *     from its delivery (nats-server 2.15.1, `updateDelivered` with `pmsg.ts`). So what was stored more than a third of the
 *     ack wait ago, what was delivered before, and what is about to be looked up, is kept alive when it is taken.
 * H4. That its slot is still open is known as of a moment. After more than a quarter of the ack wait, or a gap in time
 *     (a process that was frozen, a machine that slept), that is stale: it is asked again before a handler begins.
 *
 * Checked elsewhere:
 *   H1  ../../test/worker.test.ts: keeps a long attempt in the hands of its worker
 *   H2  ../../test/worker.test.ts: that was frozen while another did its work reports no outcome
 *   H3  ../../test/leases.test.ts: keeps alive at once what
 *   H4  ../../test/leases.test.ts: asks again, before its handler begins,
 */
export class Held implements Watched {
  delivery: Delivery;
  /** By the server's clock. */
  readonly takenAt: number;
  running: Running | undefined;
  /** How it was given up: for good, to come again later, or in silence. */
  end: "ack" | "nak" | "silence" | undefined;
  readonly #clock: Clock;
  /** What the server allows now. */
  readonly #ackWaitMs: () => number;
  #kept: Kept | undefined;
  #aliveAt: number;
  #suspect = false;
  /** As of when its slot is known to be open. */
  #openAt: number;

  /** @param takenAt - Now, by the server's clock. */
  constructor(delivery: Delivery, clock: Clock, ackWaitMs: () => number, takenAt: number, keepAlive?: KeepAlive) {
    this.delivery = delivery;
    this.#clock = clock;
    this.#ackWaitMs = ackWaitMs;
    this.takenAt = takenAt;
    this.#aliveAt = clock.now();
    this.#openAt = this.#aliveAt;
    if (delivery.ackSubject !== undefined) this.#kept = keepAlive?.hold(delivery.ackSubject, ackWaitMs());
  }

  /** Until when an attempt may go on if its handler does not call heartbeat(); Infinity: no limit. 0: there is no attempt. */
  set attemptEndsAt(at: number) {
    if (this.#kept) this.#kept.until = at;
  }

  /** It is not in hand any more. */
  release(): void {
    this.#kept?.release();
    this.#kept = undefined;
  }

  dueAt(): number {
    const next = this.#aliveAt + this.#ackWaitMs() / 3;
    return this.running ? Math.min(next, this.running.dueAt()) : next;
  }

  onDue(now: number): void {
    if (now >= this.#aliveAt + this.#ackWaitMs() / 3) this.keepAlive();
    this.running?.onDue(now);
  }

  keepAlive(): void {
    this.isSuspect();
    this.#alive();
    this.delivery.working();
  }

  #alive(): void {
    this.#aliveAt = this.#clock.now();
    this.#kept?.alive(this.#aliveAt, this.#ackWaitMs());
  }

  /** What the keep-alive thread did while this one was blocked counts. */
  #noteKept(): void {
    const keptAt = this.#kept?.lastAt ?? 0;
    if (keptAt <= this.#aliveAt) return;
    this.#aliveAt = keptAt;
    this.delivery.kept?.(keptAt);
  }

  /** It has just been taken: see H3. */
  taken(): void {
    const { deliveries, at } = this.delivery;
    if (deliveries > 1 || this.takenAt - at > this.#ackWaitMs() / 3) this.keepAlive();
  }

  /** Whether its slot is still open is about to be asked: what the answer says is true of now. */
  asking(): void {
    if (this.#aliveAt < this.#clock.now()) this.keepAlive();
    this.#openAt = this.#clock.now();
  }

  /** How old the knowledge is that its slot is open, in ack waits. Infinity after a gap. */
  get age(): number {
    return (this.#clock.now() - this.#openAt) / this.#ackWaitMs();
  }

  isSuspect(): boolean {
    this.#noteKept();
    if (this.#clock.now() - this.#aliveAt > this.#ackWaitMs() / 2) this.#suspect = true;
    return this.#suspect;
  }

  /** Something has happened that may have cost us the command: a reconnection, a stall. */
  suspectFrom(stalledMs: number): void {
    this.#noteKept();
    const wasKept = Number.isFinite(stalledMs) && this.#aliveAt === this.#kept?.lastAt;
    if (wasKept) this.isSuspect();
    else if (stalledMs > this.#ackWaitMs() / 2) this.#suspect = true;
    if (stalledMs > this.#ackWaitMs() / 4) this.#openAt = Number.NEGATIVE_INFINITY;
  }

  /** The same command has come again while it is in hand: it is kept by its newest delivery. */
  adopt(delivery: Delivery): void {
    // Nobody had it in between; before, it may have been anybody's.
    if (delivery.deliveries > this.delivery.deliveries + 1) this.#suspect = true;
    this.delivery = delivery;
    this.#alive();
    delivery.working();
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
