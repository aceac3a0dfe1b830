import type { Clock } from "../clock.ts";
import type { Stored } from "../port.ts";
import { callAt } from "./at.ts";
import { matcher } from "./matcher.ts";
import type { MemoryStream } from "./stream.ts";

/** Somebody who has asked for messages. */
export interface Puller {
  /** How many more it has asked for. */
  credit: number;
  /** Whether what it has asked for still counts. */
  open(): boolean;
  take(stored: Stored, deliveries: number, consumerSeq: number): void;
}

interface Pending {
  deliveries: number;
  callOff: () => void;
}

/** How long an acknowledgement may be lost by a server that is killed. */
const UNSURE_MS = 10_000;
/** "At once", for a message given back: not in the same instant, or whoever refuses it would be asked for ever. */
const AT_ONCE_MS = 1;

/**
 * A durable pull consumer, with JetStream's manners, the bad ones too.
 *
 * C1. What is not acknowledged within `ackWaitMs` comes again, before new messages, under a new consumer sequence.
 *     So do those given back. New messages that went out meanwhile have overtaken them.
 * C2. An ack counts whichever delivery it belongs to; a nak brings the message back at once, even a late one, and
 *     whoever has it. `working()` after the time is up changes nothing.
 * C3. A message whose puller has gone waits for its time like any other: the server does not know that it is lost.
 * C4. Of those who have asked, each gets one in turn.
 */
export class MemoryConsumer {
  readonly #clock: Clock;
  readonly #stream: MemoryStream;
  readonly #matches: (subject: string) => boolean;
  readonly #pending = new Map<number, Pending>();
  /** Those to be delivered again. */
  readonly #again = new Set<number>();
  readonly #pullers: Puller[] = [];
  /** Acknowledged lately, for a server that forgets it. */
  #acked: { seq: number; at: number; deliveries: number }[] = [];
  ackWaitMs: number;
  #next = 1;
  #consumerSeq = 0;
  #delivered = 0;

  constructor(clock: Clock, stream: MemoryStream, filter: string, ackWaitMs: number) {
    this.#clock = clock;
    this.#stream = stream;
    this.#matches = matcher(filter);
    this.ackWaitMs = ackWaitMs;
  }

  /** The highest stream sequence ever delivered. */
  get delivered(): number {
    return this.#delivered;
  }

  add(puller: Puller): void {
    this.#pullers.push(puller);
  }

  remove(puller: Puller): void {
    const index = this.#pullers.indexOf(puller);
    if (index >= 0) this.#pullers.splice(index, 1);
  }

  /** Hands out what there is to those who have asked. */
  dispatch(): void {
    for (;;) {
      const index = this.#pullers.findIndex((puller) => puller.credit > 0 && puller.open());
      if (index < 0) return;
      const stored = this.#take();
      if (!stored) return;
      const puller = this.#pullers.splice(index, 1)[0]!;
      this.#pullers.push(puller);
      puller.credit--;
      const deliveries = (this.#pending.get(stored.seq)?.deliveries ?? 0) + 1;
      this.#await(stored.seq, deliveries, this.ackWaitMs);
      this.#delivered = Math.max(this.#delivered, stored.seq);
      puller.take(stored, deliveries, ++this.#consumerSeq);
    }
  }

  ack(seq: number): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    this.#forget(seq);
    if (this.#stream.rules.workQueue) return this.#stream.delete(seq);
    const at = this.#clock.now();
    if (this.#acked.length > 0 && at - this.#acked[0]!.at > 2 * UNSURE_MS)
      this.#acked = this.#acked.filter((acked) => at - acked.at <= UNSURE_MS);
    this.#acked.push({ seq, at, deliveries: pending.deliveries });
  }

  nak(seq: number, delayMs: number): void {
    const pending = this.#pending.get(seq);
    if (pending && !this.#again.has(seq)) this.#await(seq, pending.deliveries, Math.max(AT_ONCE_MS, delayMs));
  }

  working(seq: number): void {
    const pending = this.#pending.get(seq);
    if (pending && !this.#again.has(seq)) this.#await(seq, pending.deliveries, this.ackWaitMs);
  }

  /** The server starts again on what its store has: of acks no older than `forgetAcksMs` it does not know. */
  restart(forgetAcksMs: number): void {
    for (const seq of this.#pending.keys()) if (seq > this.#stream.lastSeq) this.#forget(seq);
    this.#next = Math.min(this.#next, this.#stream.lastSeq + 1);
    this.#delivered = Math.min(this.#delivered, this.#stream.lastSeq);
    const since = this.#clock.now() - forgetAcksMs;
    for (const { seq, at, deliveries } of this.#acked)
      if (at > since && this.#stream.get(seq)) this.#await(seq, deliveries, this.ackWaitMs);
    this.#acked = [];
  }

  #await(seq: number, deliveries: number, ms: number): void {
    this.#pending.get(seq)?.callOff();
    const again = () => {
      this.#again.add(seq);
      this.dispatch();
    };
    this.#pending.set(seq, { deliveries, callOff: callAt(this.#clock, this.#clock.now() + ms, again) });
  }

  #forget(seq: number): void {
    this.#pending.get(seq)?.callOff();
    this.#pending.delete(seq);
    this.#again.delete(seq);
  }

  #take(): Stored | undefined {
    for (const seq of this.#again) {
      this.#again.delete(seq);
      const stored = this.#stream.get(seq);
      if (stored) return stored;
      this.#forget(seq); // Purged meanwhile.
    }
    while (this.#next <= this.#stream.lastSeq) {
      const stored = this.#stream.get(this.#next++);
      if (stored && this.#matches(stored.subject)) return stored;
    }
    return undefined;
  }
}
