import type { Delivery, Stored } from "../port.ts";
import type { MemoryConsumer } from "./consumer.ts";

/** What a delivery needs of its consumption. */
export interface Source {
  ackWaitMs(): number;
  now(): number;
  /** Which connection the process has now. */
  connection(): number;
  /** Tells the consumer, if it gets there. */
  say(what: "ack" | "nak" | "working", apply: (consumer: MemoryConsumer) => void): void;
}

/**
 * One delivered message. It keeps the rules of the JetStream log (D1 to D3 of its delivery.ts): a nak is sent only
 * while the delivery is surely still ours, an ack always, and after either the handle is silent.
 */
export class MemoryDelivery implements Delivery {
  readonly subject: string;
  readonly seq: number;
  readonly at: number;
  readonly text: string;
  readonly deliveries: number;
  readonly consumerSeq: number;
  readonly #source: Source;
  readonly #connection: number;
  #aliveAt: number;
  #done = false;

  constructor(source: Source, stored: Stored, deliveries: number, consumerSeq: number, arrivedAt: number) {
    this.subject = stored.subject;
    this.seq = stored.seq;
    this.at = stored.at;
    this.text = stored.text;
    this.deliveries = deliveries;
    this.consumerSeq = consumerSeq;
    this.#source = source;
    this.#connection = source.connection();
    this.#aliveAt = arrivedAt;
  }

  ack(): void {
    if (this.#end()) this.#source.say("ack", (consumer) => consumer.ack(this.seq));
  }

  nak(delayMs = 0): void {
    if (this.#end() && this.#ours())
      this.#source.say("nak", (consumer) => consumer.nak(this.seq, this.consumerSeq, delayMs));
  }

  working(): void {
    if (this.#done) return;
    const now = this.#source.now();
    if (now - this.#aliveAt < this.#source.ackWaitMs()) this.#aliveAt = now;
    this.#source.say("working", (consumer) => consumer.working(this.seq));
  }

  #end(): boolean {
    if (this.#done) return false;
    this.#done = true;
    return true;
  }

  #ours(): boolean {
    const { ackWaitMs, now, connection } = this.#source;
    return this.#connection === connection() && now() - this.#aliveAt < ackWaitMs();
  }
}
