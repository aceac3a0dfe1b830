import type { Clock } from "../clock.ts";
import type { Stored } from "../port.ts";
import { type MemoryStream, matcher } from "./stream.ts";

/** Somebody who has asked for messages. */
export interface Puller {
  /** How many more it has asked for. */
  credit: number;
  take(stored: Stored, deliveries: number, consumerSeq: number): void;
}

interface Pending {
  deliveries: number;
  timer: unknown;
}

/**
 * A durable pull consumer, with JetStream's manners, the bad ones too:
 *
 *   what is not acknowledged within ack_wait comes again, before new messages, under a new consumer sequence;
 *   an ack counts whichever delivery it belongs to; a nak brings the message back at once, even a late one;
 *   `working()` after the time is up changes nothing.
 */
export class MemoryConsumer {
  readonly #clock: Clock;
  readonly #stream: MemoryStream;
  readonly #matches: (subject: string) => boolean;
  readonly #onAck: (seq: number) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #again = new Set<number>();
  readonly #pullers: Puller[] = [];
  ackWaitMs: number;
  #next = 1;
  #consumerSeq = 0;
  #delivered = 0;

  constructor(clock: Clock, stream: MemoryStream, filter: string, ackWaitMs: number, onAck: (seq: number) => void) {
    this.#clock = clock;
    this.#stream = stream;
    this.#matches = matcher(filter);
    this.ackWaitMs = ackWaitMs;
    this.#onAck = onAck;
  }

  /** The highest stream sequence ever delivered. */
  get delivered(): number {
    return this.#delivered;
  }

  add(puller: Puller): void {
    this.#pullers.push(puller);
  }

  remove(puller: Puller): void {
    puller.credit = 0;
    const index = this.#pullers.indexOf(puller);
    if (index >= 0) this.#pullers.splice(index, 1);
  }

  /** Hands out what there is to those who have asked, in turn. */
  dispatch(): void {
    for (;;) {
      const index = this.#pullers.findIndex((puller) => puller.credit > 0);
      if (index < 0) return;
      const stored = this.#take();
      if (!stored) return;
      const [puller] = this.#pullers.splice(index, 1);
      this.#pullers.push(puller!);
      puller!.credit--;
      const pending = this.#pending.get(stored.seq) ?? { deliveries: 0, timer: undefined };
      pending.deliveries++;
      this.#pending.set(stored.seq, pending);
      this.#delivered = Math.max(this.#delivered, stored.seq);
      this.#await(stored.seq, pending, this.ackWaitMs);
      puller!.take(stored, pending.deliveries, ++this.#consumerSeq);
    }
  }

  ack(seq: number): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    this.#clock.clearTimeout(pending.timer);
    this.#pending.delete(seq);
    this.#again.delete(seq);
    this.#onAck(seq);
  }

  nak(seq: number, delayMs: number): void {
    const pending = this.#pending.get(seq);
    if (pending) this.#await(seq, pending, delayMs);
  }

  working(seq: number): void {
    const pending = this.#pending.get(seq);
    if (pending && !this.#again.has(seq)) this.#await(seq, pending, this.ackWaitMs);
  }

  #await(seq: number, pending: Pending, ms: number): void {
    this.#clock.clearTimeout(pending.timer);
    const again = () => {
      this.#again.add(seq);
      this.dispatch();
    };
    if (ms <= 0) {
      pending.timer = undefined;
      return again();
    }
    pending.timer = this.#clock.setTimeout(again, ms);
    (pending.timer as { unref?: () => void } | undefined)?.unref?.();
  }

  #take(): Stored | undefined {
    for (const seq of this.#again) {
      this.#again.delete(seq);
      const stored = this.#stream.get(seq);
      if (stored) return stored;
      this.#pending.delete(seq);
    }
    for (; this.#next <= this.#stream.lastSeq; this.#next++) {
      const stored = this.#stream.get(this.#next);
      if (!stored || !this.#matches(stored.subject)) continue;
      this.#next++;
      return stored;
    }
    return undefined;
  }
}
