import type { Clock } from "../clock.ts";
import type { Backlog, Stored } from "../port.ts";
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
  /** The consumer's sequence of its first delivery. */
  readonly consumerSeq: number;
  /** When its `ackWaitMs` began: in the future after a nak with a delay longer than that. */
  since: number;
  /** The same, as the server stores it (C8). */
  storedSince: number;
  callOff: () => void;
}

/** Where a consumer has come to. */
interface Position {
  /** The next stream sequence to look at. */
  readonly next: number;
  /** The highest consumer sequence that was used. */
  readonly consumerSeq: number;
  /** Up to here all is done with: in stream sequences, and in consumer sequences. */
  readonly floor: number;
  readonly consumerFloor: number;
  /** What the server stores and shows of `next` and `floor`: without messages of others that were skipped. */
  readonly delivered: number;
  readonly shownFloor: number;
}

/** For how long a consumer's doings can be undone. */
const UNSURE_MS = 1_000;
/** "At once", for a message given back: not in the same instant, or whoever refuses it would be asked for ever. */
const AT_ONCE_MS = 1;
/** `max_ack_pending`: with so many out, only those that come again are delivered. */
const PENDING_MAX = 100_000;

/**
 * A durable pull consumer, with JetStream's manners, the bad ones too. It follows consumer.go of nats-server 2.15.1;
 * test/conformance/consumers.ts runs the same scripts on both.
 *
 * C1. What is not acknowledged within `ackWaitMs` comes again, before new messages, under a new consumer sequence.
 *     So do those given back. New messages that went out meanwhile have overtaken them.
 * C2. An ack counts whichever delivery it belongs to; a nak brings the message back at once, even a late one, and
 *     whoever has it. `working()` after the time is up changes nothing.
 * C3. A message whose puller has gone waits for its time like any other: the server does not know that it is lost.
 * C4. What it does is stored a moment later: a server that is killed forgets the last of it (see `restart`).
 *     Measured on nats-server 2.15.1, eight kills under load: 536 messages acknowledged up to 114 ms before came
 *     again with `deliveries` 1 and a `consumerSeq` used before, 6 with `deliveries` 2.
 * C5. Of those who have asked, each gets one in turn.
 * C6. The ack floor rises over what is acknowledged without a gap. A pending message at or below it is never delivered
 *     again, and a nak of a delivery at or below the consumer's floor is ignored.
 * C7. A message that is removed by its sequence counts as acknowledged. A purge with a subject narrower than the filter
 *     moves the floors past messages that are still pending (see `purged`).
 *
 * C8. What is stored of a delivery is when its message was stored, not when it was delivered. From that, or from the last
 *     `working()` or delayed nak, a server that starts counts the ack wait: `updateDelivered(…, pmsg.ts)` of consumer.go.
 *
 * Checked elsewhere:
 *   C1 C2 C3 C6 C7  test/conformance/consumers.test.ts: the log in memory does what nats-server does
 *   C4  test/simulation/log.test.ts: may have forgotten what its consumers did last, but not of a work queue
 *   C5  test/simulation/log.test.ts: goes to those who have asked in turn
 *   C8  ../../../../services/step-worker/test/leases.test.ts: keeps alive at once what has waited, so that a restart of the server
 */
export class MemoryConsumer {
  readonly #clock: Clock;
  readonly #stream: MemoryStream;
  readonly #filter: string;
  readonly #matches: (subject: string) => boolean;
  readonly #pending = new Map<number, Pending>();
  /** Those to be delivered again, in this order. */
  readonly #again = new Set<number>();
  readonly #pullers: Puller[] = [];
  /** What was done lately, oldest first, for a server that forgets it. */
  #recent: { at: number; undo: () => void }[] = [];
  #ackWaitMs: number;
  #wishedMs: number;
  #at: Position = { next: 1, consumerSeq: 0, floor: 0, consumerFloor: 0, delivered: 0, shownFloor: 0 };
  /** No message of its lies between `next` and this one. */
  #looked = 1;
  /** A purge has moved the floors, so that messages that are pending may lie below them. */
  #strands = false;

  constructor(clock: Clock, stream: MemoryStream, filter: string, ackWaitMs: number) {
    this.#clock = clock;
    this.#stream = stream;
    this.#filter = filter;
    this.#matches = matcher(filter);
    this.#ackWaitMs = ackWaitMs;
    this.#wishedMs = ackWaitMs;
  }

  get ackWaitMs(): number {
    return this.#ackWaitMs;
  }

  /** Takes effect as soon as nothing is in flight (S3 of ../jetstream/lease.ts). */
  wish(ackWaitMs: number): void {
    this.#wishedMs = ackWaitMs;
    if (this.#pending.size === 0) this.#ackWaitMs = ackWaitMs;
  }

  /** The highest stream sequence ever delivered, or purged. */
  get delivered(): number {
    return this.#at.delivered;
  }

  /** No message up to this one is delivered again. */
  get ackFloor(): number {
    return this.#at.shownFloor;
  }

  /** How many deliveries there were. */
  get consumerSeq(): number {
    return this.#at.consumerSeq;
  }

  /** No nak of a delivery up to this one counts. */
  get consumerFloor(): number {
    return this.#at.consumerFloor;
  }

  /** Is a message of its still to be acknowledged, or even to be delivered? */
  holds(seq: number): boolean {
    return seq >= this.#at.next || this.#pending.has(seq);
  }

  /** Of what is delivered and not done with. */
  get mostDeliveries(): number {
    return Math.max(0, ...[...this.#pending.values()].map(({ deliveries }) => deliveries));
  }

  /** Has it a message that is not acknowledged, or not even delivered? */
  get busy(): boolean {
    return this.#pending.size > 0 || this.#peek() !== undefined;
  }

  /** What it has not done with. */
  get backlog(): Backlog {
    const first = this.#peek()?.seq;
    let waiting = 0;
    for (let seq = first ?? Number.POSITIVE_INFINITY; seq <= this.#stream.lastSeq; seq++) {
      const stored = this.#stream.get(seq);
      if (stored && this.#matches(stored.subject)) waiting++;
    }
    return { waiting, taken: this.#pending.size };
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
      const before = this.#at;
      const stored = this.#take();
      if (!stored) return;
      const puller = this.#pullers.splice(index, 1)[0]!;
      this.#pullers.push(puller);
      puller.credit--;
      const { seq } = stored;
      const pending = this.#pending.get(seq);
      const consumerSeq = this.#at.consumerSeq + 1;
      const deliveries = (pending?.deliveries ?? 0) + 1;
      this.#at = { ...this.#at, consumerSeq, delivered: Math.max(this.#at.delivered, seq) };
      this.#await(seq, pending?.consumerSeq ?? consumerSeq, deliveries, this.#clock.now(), stored.at);
      this.#note(() => {
        this.#at = before;
        if (pending) this.#await(seq, pending.consumerSeq, pending.deliveries, this.#clock.now());
        else this.#forget(seq);
      });
      puller.take(stored, deliveries, consumerSeq);
    }
  }

  ack(seq: number): void {
    if (seq >= this.#at.next) return; // Of a delivery that was forgotten.
    this.#settle(seq);
    if (this.#stream.rules.workQueue) this.#stream.delete(seq);
  }

  /** @param consumerSeq - Of the delivery that is given back. */
  nak(seq: number, consumerSeq: number, delayMs: number): void {
    if (consumerSeq <= this.#at.consumerFloor || consumerSeq > this.#at.consumerSeq + 1) return;
    const pending = this.#pending.get(seq);
    if (!pending) return;
    if (delayMs > 0) {
      this.#again.delete(seq);
      this.#await(seq, pending.consumerSeq, pending.deliveries, this.#clock.now() - this.#ackWaitMs + delayMs);
    } else if (!this.#again.has(seq)) {
      pending.callOff();
      pending.callOff = callAt(this.#clock, this.#clock.now() + AT_ONCE_MS, () => this.#redeliver(seq));
    }
  }

  working(seq: number): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    if (this.#again.has(seq)) pending.since = pending.storedSince = this.#clock.now();
    else this.#await(seq, pending.consumerSeq, pending.deliveries, this.#clock.now());
  }

  /** A message has been removed by its sequence: as if it were acknowledged. */
  removed(seq: number): void {
    this.#settle(seq);
  }

  /**
   * The stream was purged of a subject: `consumer.purge` of nats-server 2.15.1. If the filter is wider than the subject
   * and the ack floor lies before the stream's first message, the consumer's floor is set to the highest delivery
   * among those that are gone, though older ones are pending; the next ack takes the stream's floor along. And what
   * waits for its redelivery waits for another `ackWaitMs`.
   */
  purged(subject: string): void {
    const wider = this.#filter !== subject;
    if (!this.#matches(subject)) return;
    const left = this.#stream.of(subject)[0]?.seq;
    const first = wider ? this.#stream.firstSeq : (left ?? this.#stream.lastSeq + 1);
    if (this.#at.next < first) this.#at = { ...this.#at, next: first };
    if (this.#at.floor < first) {
      this.#at = { ...this.#at, floor: first - 1 };
      for (const [seq, { consumerSeq }] of [...this.#pending]) {
        if (seq > this.#at.floor && !(wider && !this.#stream.get(seq))) continue;
        if (consumerSeq > this.#at.consumerFloor) this.#at = { ...this.#at, consumerFloor: consumerSeq };
        this.#forget(seq);
      }
      this.#strands = this.#pending.size > 0;
    }
    if (this.#pending.size === 0) this.#allDone();
    this.#at = { ...this.#at, delivered: this.#at.next - 1, shownFloor: this.#at.floor };
    const queued = [...this.#again];
    this.#again.clear();
    for (const seq of queued) this.#rearm(seq);
  }

  /**
   * The server starts again on what its store has, which is behind by `forgetMs`: what was acknowledged since is not,
   * and what was delivered since comes as if for the first time, under consumer sequences that were used before.
   */
  restart(forgetMs: number): void {
    this.#pullers.length = 0;
    const since = this.#clock.now() - forgetMs;
    for (const { at, undo } of this.#recent.toReversed()) if (at > since) undo();
    this.#recent = [];
    const { lastSeq } = this.#stream;
    this.#at = { ...this.#at, next: this.#at.delivered + 1, floor: this.#at.shownFloor };
    if (this.#at.floor > lastSeq) {
      for (const seq of [...this.#pending.keys()]) this.#forget(seq);
      this.#at = { ...this.#at, floor: lastSeq, shownFloor: lastSeq, consumerFloor: this.#at.consumerSeq };
    }
    for (const seq of [...this.#pending.keys()]) if (seq > lastSeq) this.#forget(seq);
    const delivered = Math.min(this.#at.delivered, lastSeq);
    this.#at = { ...this.#at, delivered, next: delivered + 1 };
    this.#looked = 1;
    for (const seq of [...this.#pending.keys()]) if (!this.#stream.get(seq)) this.#settle(seq);
    this.#again.clear();
    for (const [seq, pending] of this.#pending) {
      pending.since = pending.storedSince;
      this.#rearm(seq);
    }
  }

  #note(undo: () => void): void {
    const at = this.#clock.now();
    this.#recent.push({ at, undo });
    if (at - this.#recent[0]!.at > 2 * UNSURE_MS) this.#recent = this.#recent.filter((one) => at - one.at <= UNSURE_MS);
  }

  /** It is done with: acknowledged, or removed. The floors follow (`moveAckFloor`). */
  #settle(seq: number): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    const before = this.#at;
    this.#forget(seq);
    const { consumerSeq } = pending;
    if (this.#pending.size === 0) this.#allDone();
    else if (consumerSeq === this.#at.consumerFloor + 1) {
      this.#at = { ...this.#at, floor: seq, consumerFloor: consumerSeq };
      for (let other = seq + 1; other < this.#at.next; other++) {
        const open = this.#pending.get(other);
        if (!open) continue;
        this.#at = { ...this.#at, floor: other - 1, consumerFloor: open.consumerSeq - 1 };
        break;
      }
      this.#at = { ...this.#at, shownFloor: this.#at.floor };
    }
    this.#note(() => {
      this.#at = before;
      this.#await(seq, consumerSeq, pending.deliveries, this.#clock.now());
    });
  }

  #allDone(): void {
    const { next, consumerSeq, delivered } = this.#at;
    this.#at = { ...this.#at, floor: next - 1, consumerFloor: consumerSeq, shownFloor: delivered };
  }

  /** Waits for an answer to a delivery, from `since` on. */
  #await(seq: number, consumerSeq: number, deliveries: number, since: number, storedSince = since): void {
    this.#pending.get(seq)?.callOff();
    this.#pending.set(seq, { deliveries, consumerSeq, since, storedSince, callOff: () => {} });
    this.#rearm(seq);
  }

  #rearm(seq: number): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    pending.callOff();
    const at = Math.max(this.#clock.now(), pending.since + this.#ackWaitMs);
    pending.callOff = callAt(this.#clock, at, () => {
      if (this.#strands) this.#dropStranded();
      pending.since = this.#clock.now();
      this.#redeliver(seq);
    });
  }

  #redeliver(seq: number): void {
    if (!this.#pending.has(seq)) return;
    this.#again.add(seq);
    this.dispatch();
  }

  /** What is pending at or below the floor is forgotten (`checkPending`). */
  #dropStranded(): void {
    const before = this.#pending.size;
    for (const [seq, { consumerSeq }] of [...this.#pending]) {
      if (seq > this.#at.floor && seq >= this.#stream.firstSeq) continue;
      this.#at = { ...this.#at, consumerFloor: Math.max(this.#at.consumerFloor, consumerSeq) };
      this.#forget(seq);
    }
    if (this.#pending.size === before) return;
    if (this.#pending.size === 0) this.#allDone();
    this.#at = { ...this.#at, delivered: this.#at.next - 1, shownFloor: this.#at.floor };
  }

  #forget(seq: number): void {
    this.#pending.get(seq)?.callOff();
    this.#pending.delete(seq);
    this.#again.delete(seq);
    if (this.#pending.size === 0) this.#ackWaitMs = this.#wishedMs;
  }

  #take(): Stored | undefined {
    for (const seq of this.#again) {
      this.#again.delete(seq);
      const stored = this.#stream.get(seq);
      if (stored) return stored;
      this.#settle(seq);
    }
    if (this.#pending.size >= PENDING_MAX) return undefined;
    const stored = this.#peek();
    this.#at = { ...this.#at, next: (stored?.seq ?? this.#stream.lastSeq) + 1 };
    return stored;
  }

  /** The next that was never delivered. */
  #peek(): Stored | undefined {
    for (let seq = Math.max(this.#looked, this.#at.next); seq <= this.#stream.lastSeq; seq++) {
      this.#looked = seq;
      const stored = this.#stream.get(seq);
      if (stored && this.#matches(stored.subject)) return stored;
    }
    return undefined;
  }
}
