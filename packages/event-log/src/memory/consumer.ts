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
  callOff: () => void;
}

/** For how long a consumer's doings can be undone. */
const UNSURE_MS = 1_000;
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
 * C4. What it does is stored a moment later: a server that is killed forgets the last of it (see `restart`).
 *     Measured on nats-server 2.15.1, eight kills under load: 536 messages acknowledged up to 114 ms before came
 *     again with `deliveries` 1 and a `consumerSeq` used before, 6 with `deliveries` 2.
 * C5. Of those who have asked, each gets one in turn.
 */
export class MemoryConsumer {
  readonly #clock: Clock;
  readonly #stream: MemoryStream;
  readonly #matches: (subject: string) => boolean;
  readonly #pending = new Map<number, Pending>();
  /** Those to be delivered again. */
  readonly #again = new Set<number>();
  readonly #pullers: Puller[] = [];
  /** What was done lately, oldest first, for a server that forgets it. */
  #recent: { at: number; undo: () => void }[] = [];
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

  /** Is a message of its still to be acknowledged, or even to be delivered? */
  holds(seq: number): boolean {
    return seq >= this.#next || this.#pending.has(seq);
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
      const stored = this.#take();
      if (!stored) return;
      const puller = this.#pullers.splice(index, 1)[0]!;
      this.#pullers.push(puller);
      puller.credit--;
      const { seq } = stored;
      const before = { deliveries: this.#pending.get(seq)?.deliveries ?? 0, delivered: this.#delivered };
      this.#await(seq, before.deliveries + 1, this.ackWaitMs);
      this.#delivered = Math.max(this.#delivered, seq);
      this.#consumerSeq++;
      this.#note(() => {
        this.#consumerSeq--;
        this.#delivered = before.delivered;
        if (before.deliveries > 0) return this.#await(seq, before.deliveries, this.ackWaitMs);
        this.#forget(seq);
        this.#next = Math.min(this.#next, seq);
      });
      puller.take(stored, before.deliveries + 1, this.#consumerSeq);
    }
  }

  ack(seq: number): void {
    const pending = this.#pending.get(seq);
    if (!pending) return;
    this.#forget(seq);
    if (this.#stream.rules.workQueue) return this.#stream.delete(seq);
    this.#note(() => {
      if (this.#stream.get(seq)) this.#await(seq, pending.deliveries, this.ackWaitMs);
    });
  }

  nak(seq: number, delayMs: number): void {
    const pending = this.#pending.get(seq);
    if (pending && !this.#again.has(seq)) this.#await(seq, pending.deliveries, Math.max(AT_ONCE_MS, delayMs));
  }

  working(seq: number): void {
    const pending = this.#pending.get(seq);
    if (pending && !this.#again.has(seq)) this.#await(seq, pending.deliveries, this.ackWaitMs);
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
    for (const seq of this.#pending.keys()) if (seq > lastSeq) this.#forget(seq);
    this.#next = Math.min(this.#next, lastSeq + 1);
    this.#delivered = Math.min(this.#delivered, lastSeq);
  }

  #note(undo: () => void): void {
    const at = this.#clock.now();
    this.#recent.push({ at, undo });
    if (at - this.#recent[0]!.at > 2 * UNSURE_MS) this.#recent = this.#recent.filter((one) => at - one.at <= UNSURE_MS);
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
    const stored = this.#peek();
    if (stored) this.#next++;
    return stored;
  }

  /** The next that was never delivered. */
  #peek(): Stored | undefined {
    for (; this.#next <= this.#stream.lastSeq; this.#next++) {
      const stored = this.#stream.get(this.#next);
      if (stored && this.#matches(stored.subject)) return stored;
    }
    return undefined;
  }
}
