import type { ConsumeOptions, Consumption, Stored } from "../port.ts";
import type { MemoryConsumer, Puller } from "./consumer.ts";
import { MemoryDelivery, type Source } from "./delivery.ts";
import type { MemoryLog } from "./log.ts";
import type { Lane } from "./wire.ts";

const BATCH_MAX = 10_000;
/** After which a process takes its pulls for lost, as the JetStream log does. */
const SILENCE_MS = 1_250;
/** For what comes late for pulls that were given up. */
const GIVE_BACK_LATE_MS = 1_000;

/** Asks for messages on one connection: what comes for another is not ours any more. */
type Asking = Puller & { connection: number; lane: Lane };

/**
 * One process' share of a durable consumer. What it asks for, and when, follows the JetStream log (U1 to U6 of its
 * puller.ts): never more than `demand()`, again as soon as at most half of it is on its way; all anew after a
 * reconnection, which the holder is told first; what comes after a stop is given back.
 */
export class MemoryConsumption implements Consumption {
  readonly #log: MemoryLog;
  readonly #consumer: MemoryConsumer;
  readonly #options: ConsumeOptions;
  readonly #source: Source;
  #asking: Asking;
  /** Asked for and not yet arrived. */
  #waiting = 0;
  #scheduled = false;
  #ending: Promise<void> | undefined;
  readonly #onEnd: () => void;
  /** Ends a stop that waits for what is on its way. */
  #onLost: (() => void) | undefined;

  constructor(log: MemoryLog, consumer: MemoryConsumer, options: ConsumeOptions, onEnd: () => void) {
    const { process } = log;
    this.#log = log;
    this.#consumer = consumer;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#source = {
      ackWaitMs: () => consumer.ackWaitMs,
      now: () => process.clock.now(),
      connection: () => process.connection,
      say: (what, apply) => log.tell(`${what} ${options.consumer}`, () => apply(consumer)),
    };
    this.#asking = this.#newAsking();
    // Not before whoever called `consume()` has got this object.
    process.clock.setTimeout(() => this.pull(), 0);
  }

  get ackWaitMs(): number {
    return this.#consumer.ackWaitMs;
  }

  pull(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#log.process.reach(() => this.#ask()));
  }

  stop(): Promise<void> {
    this.#ending ??= new Promise<void>((resolve) => {
      const { process, wire } = this.#log;
      const asking = this.#asking;
      this.#onLost = resolve;
      if (!process.connected) return resolve();
      // There and back, behind all that is on its way.
      wire.up(undefined, () => {
        this.#consumer.remove(asking);
        wire.down(asking.lane, () => resolve());
      });
    }).then(this.#onEnd);
    return this.#ending;
  }

  /** The connection, or the process, has gone. The server notices after a while and sends into the void until then. */
  disconnected(noticeMs: number): void {
    const asking = this.#asking;
    const { clock } = this.#log.server;
    if (noticeMs > 0) clock.setTimeout(() => this.#consumer.remove(asking), noticeMs);
    else this.#consumer.remove(asking);
    this.#log.process.reach(() => this.#onLost?.());
  }

  reconnected(): void {
    if (!this.#ending) this.#renew("reconnected");
  }

  /** Its pulls had expired, and are asked for again. */
  woken(): void {
    this.#log.wire.up(undefined, () => this.#consumer.dispatch());
  }

  #renew(why: string): void {
    this.#asking = this.#newAsking();
    this.#waiting = 0;
    this.#log.callbacks.call("a listener to interruptions", () => this.#options.onInterrupted?.(why));
    this.pull();
  }

  #newAsking(): Asking {
    const asking: Asking = {
      credit: 0,
      connection: this.#log.process.connection,
      lane: [],
      open: () => this.#log.process.pulling,
      take: (stored, deliveries, consumerSeq) => this.#send(asking, stored, deliveries, consumerSeq),
    };
    this.#consumer.add(asking);
    return asking;
  }

  #ask(): void {
    this.#scheduled = false;
    const { process, server, wire } = this.#log;
    if (this.#ending || !process.connected) return;
    const demand = this.#log.callbacks.value("the demand of a consumption", () => this.#options.demand(), 0);
    const want = Math.min(BATCH_MAX, Math.floor(demand) - this.#waiting);
    if (!(want > 0) || this.#waiting > want) return;
    this.#waiting += want;
    const asking = this.#asking;
    if (server.faults?.loses("pull")) {
      const noticed = () => {
        if (asking !== this.#asking || this.#ending || !process.connected) return;
        this.#consumer.remove(asking);
        this.#renew("the server was silent");
      };
      process.clock.setTimeout(noticed, SILENCE_MS);
      return;
    }
    wire.up(undefined, () => {
      asking.credit += want;
      this.#consumer.dispatch();
    });
  }

  #send(asking: Asking, stored: Stored, deliveries: number, consumerSeq: number): void {
    const arrive = (arrivedAt: number) => {
      const delivery = new MemoryDelivery(this.#source, stored, deliveries, consumerSeq, arrivedAt);
      if (this.#ending) return delivery.nak();
      if (asking !== this.#asking) return delivery.nak(GIVE_BACK_LATE_MS);
      this.#waiting--;
      const what = `a delivery of consumer ${this.#options.consumer}`;
      this.#log.callbacks.call(what, () => this.#options.onDelivery(delivery));
      this.pull();
    };
    this.#log.wire.down(asking.lane, arrive, asking.connection);
  }
}
