import type { ConsumeOptions, Consumption, Delivery, Stored } from "../port.ts";
import type { MemoryConsumer, Puller } from "./consumer.ts";
import type { MemoryLog } from "./log.ts";

/** One process' share of a durable consumer. */
export class MemoryConsumption implements Consumption {
  readonly #log: MemoryLog;
  readonly #consumer: MemoryConsumer;
  readonly #options: ConsumeOptions;
  readonly #onStop: () => void;
  readonly #puller: Puller;
  /** Asked for and not yet arrived. */
  #asked = 0;
  #stopped = false;
  /** When the last delivery on this connection arrives: none overtakes another. */
  #lastArrival = 0;

  constructor(log: MemoryLog, consumer: MemoryConsumer, options: ConsumeOptions, onStop: () => void) {
    this.#log = log;
    this.#consumer = consumer;
    this.#options = options;
    this.#onStop = onStop;
    this.#puller = {
      credit: 0,
      take: (stored, deliveries, consumerSeq) => this.#send(stored, deliveries, consumerSeq),
    };
    consumer.add(this.#puller);
  }

  pull(): void {
    const { process, server } = this.#log;
    const more = this.#options.demand() - this.#asked;
    if (more <= 0 || this.#stopped || process.killed || !process.connected) return;
    this.#asked += more;
    const { connection } = process;
    const ask = () => {
      if (process.connection !== connection || this.#stopped) return;
      this.#puller.credit += more;
      this.#consumer.dispatch();
    };
    if (server.faults) server.clock.setTimeout(ask, server.faults.latencyMs());
    else ask();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#consumer.remove(this.#puller);
    this.#onStop();
  }

  disconnected(): void {
    this.#puller.credit = 0;
    this.#consumer.remove(this.#puller);
  }

  reconnected(): void {
    if (this.#stopped) return;
    this.#asked = 0;
    this.#lastArrival = 0;
    this.#consumer.add(this.#puller);
    this.#options.onInterrupted?.("the connection was lost");
    this.pull();
  }

  #send(stored: Stored, deliveries: number, consumerSeq: number): void {
    const { server } = this.#log;
    const now = server.clock.now();
    this.#lastArrival = Math.max(this.#lastArrival, now + (server.faults?.latencyMs() ?? 0));
    this.#log.arrive(() => {
      this.#asked--;
      const delivery = this.#delivery(stored, deliveries, consumerSeq);
      if (this.#stopped) delivery.nak();
      else this.#options.onDelivery(delivery);
    }, this.#lastArrival - now);
  }

  #delivery(stored: Stored, deliveries: number, consumerSeq: number): Delivery {
    const consumer = this.#consumer;
    return {
      ...stored,
      deliveries,
      consumerSeq,
      ack: () => this.#say("ack", () => consumer.ack(stored.seq)),
      nak: (delayMs = 0) => this.#say("nak", () => consumer.nak(stored.seq, delayMs)),
      working: () => this.#say("working", () => consumer.working(stored.seq)),
    };
  }

  #say(what: string, apply: () => void): void {
    const { process, server } = this.#log;
    if (process.killed || !process.connected) return;
    this.#log.effect(`${what} ${this.#options.consumer}`);
    if (process.killed) return;
    if (!server.faults) return apply();
    if (!server.faults.loses("ack")) server.clock.setTimeout(apply, server.faults.latencyMs());
  }
}
