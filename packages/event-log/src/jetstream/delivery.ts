import type { NatsConnection } from "@nats-io/transport-node";
import type { Delivery } from "../port.ts";

/**
 * One delivered message.
 *
 * The reply subject of a delivery says all about it:
 *
 *   v1  $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time, ns>.<pending>
 *   v2  $JS.ACK.<domain>.<account hash>.<stream>.<consumer>.<deliveries>.<…>.<…>.<…>.<…>[.<random>]
 *
 * D1. A nak is sent only while the delivery is surely still ours: on the connection it came by, and
 *     within `ackWaitMs` of the last sign of life. Later it may be in the hands of another, and a
 *     stale nak would give it to a third at once. Nothing is lost: it comes again by itself.
 *     `at` in the constructor is when it may have come: a stall of the event loop counts as age.
 * D2. An ack is always sent: whoever acks has stored the outcome.
 * D3. After an ack or nak a handle is silent.
 *
 * Checked elsewhere:
 *   D1  delivery.test.ts: (D1)
 *   D2  delivery.test.ts: (D2)
 *   D3  delivery.test.ts: (D3)
 */
export interface AckInfo {
  deliveries: number;
  seq: number;
  consumerSeq: number;
  /** Epoch milliseconds. */
  at: number;
}

/** @returns undefined for a reply subject that is no acknowledgement subject. */
export function parseAck(reply: string): AckInfo | undefined {
  if (!reply.startsWith("$JS.ACK.")) return undefined;
  let dots = 0;
  for (let i = reply.indexOf("."); i >= 0; i = reply.indexOf(".", i + 1)) dots++;
  const first = dots === 8 ? 4 : dots >= 10 ? 6 : -1;
  if (first < 0) return undefined;
  let from = 0;
  for (let n = 0; n < first; n++) from = reply.indexOf(".", from) + 1;
  // Read where it stands: each message comes by here, and a list of its tokens would be the largest thing made for it.
  const next = (drop = 0): number => {
    const dot = reply.indexOf(".", from);
    const value = digits(reply, from, dot - drop);
    from = dot + 1;
    return value;
  };
  const info = { deliveries: next(), seq: next(), consumerSeq: next(), at: next(NS_DIGITS) };
  return info.deliveries >= 0 && info.seq >= 0 && info.consumerSeq >= 0 ? info : undefined;
}

/** 19 digits of nanoseconds are more than a number holds; these are not wanted. */
const NS_DIGITS = 6;

/** The number between two places of a text; NaN if it is none. */
function digits(text: string, from: number, to: number): number {
  let value = from < to ? 0 : Number.NaN;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN;
  }
  return value;
}

/** What all deliveries of one consumption share. */
export interface Source {
  nc: NatsConnection;
  ackWaitMs(): number;
  now(): number;
  /** Grows with every cut of the connection. */
  epoch(): number;
  /** One is still held. */
  onAlive?(): void;
}

/** Encoded once: it is said of every message. */
const ACK = Buffer.from("+ACK");

export class JetStreamDelivery implements Delivery {
  readonly subject: string;
  readonly seq: number;
  readonly at: number;
  readonly text: string;
  readonly deliveries: number;
  readonly consumerSeq: number;
  expired?: true;
  readonly #source: Source;
  readonly #reply: string;
  readonly #epoch: number;
  #aliveAt: number;
  #done = false;

  constructor(source: Source, subject: string, reply: string, info: AckInfo, text: string, epoch: number, at: number) {
    this.subject = subject;
    this.seq = info.seq;
    this.at = info.at;
    this.text = text;
    this.deliveries = info.deliveries;
    this.consumerSeq = info.consumerSeq;
    this.#source = source;
    this.#reply = reply;
    this.#epoch = epoch;
    this.#aliveAt = at;
  }

  ack(): void {
    if (this.#end()) this.#say(ACK);
  }

  nak(delayMs = 0): void {
    if (!this.#end() || !this.#ours()) return;
    this.#say(delayMs > 0 ? `-NAK {"delay":${Math.ceil(delayMs) * 1_000_000}}` : "-NAK");
  }

  get ackSubject(): string {
    return this.#reply;
  }

  kept(at: number): void {
    this.#aliveAt = Math.max(this.#aliveAt, at);
  }

  working(): void {
    if (this.#done) return;
    const now = this.#source.now();
    this.#source.onAlive?.();
    // Said too late it may not have kept the message from another.
    if (now - this.#aliveAt < this.#source.ackWaitMs()) this.#aliveAt = now;
    this.#say("+WPI");
  }

  #end(): boolean {
    if (this.#done) return false;
    this.#done = true;
    return true;
  }

  #ours(): boolean {
    const { epoch, now, ackWaitMs } = this.#source;
    return this.#epoch === epoch() && now() - this.#aliveAt < ackWaitMs();
  }

  #say(word: string | Uint8Array): void {
    const { nc } = this.#source;
    // With the connection gone there is nobody to tell; it comes again.
    if (!nc.isClosed()) {
      try {
        nc.publish(this.#reply, word);
      } catch {
        // Closing: the same.
      }
    }
  }
}
