import { InvariantError } from "@stepstream/contracts";
import type { ConsumeOptions, Consumption, Delivery } from "@stepstream/event-log";
import type { AnyStep } from "@stepstream/sdk";
import type { Breaker } from "./breaker.ts";
import type { StepContext } from "./context.ts";
import type { Deps } from "./deps.ts";
import { Held } from "./held.ts";
import { Stopped } from "./retrying.ts";
import { work } from "./work.ts";

/** A step and who does it. */
export interface Served {
  readonly step: AnyStep;
  readonly handler: (input: any, context: StepContext<any>) => unknown;
  readonly breaker: Breaker | undefined;
  readonly ackWaitMs: number;
}

/**
 * The commands of one step in this worker. Each step has a lane of its own, with a durable consumer of its
 * own: none holds up another.
 *
 * L1. It asks for no more commands than it has free slots, and for none while its breaker is open.
 * L2. No more than `concurrency` are worked on at a time, and none is begun while a suspect has or wants the process. Those
 *     that arrive meanwhile wait here, kept alive.
 * L3. One subject, one piece of work at a time: a command that comes again while it is in hand only renews
 *     the hold on it.
 *
 * L2 and L3 are asserted before work begins ("lane L2", "lane L3"), and "work K1" when it is over. What does not hold there
 * is reported as trouble, and the command comes again.
 *
 * Checked elsewhere:
 *   L1  ../../test/worker.test.ts: works on no more commands than its step allows, and holds no others
 */
export class Lane {
  readonly served: Served;
  readonly #deps: Deps;
  /** Worked on, by subject. */
  readonly #held = new Map<string, Held>();
  #waiting: Held[] = [];
  #consumption: Consumption | undefined;
  #stopping = false;
  readonly #idle: (() => void)[] = [];
  readonly #stopResuming: () => void;

  constructor(deps: Deps, served: Served) {
    this.#deps = deps;
    this.served = served;
    this.#stopResuming = deps.isolation.whenOpen(() => this.#next());
  }

  async start(): Promise<void> {
    const { log } = this.#deps;
    const { name } = this.served.step;
    const options: ConsumeOptions = {
      stream: "COMMANDS",
      consumer: log.subjects.stepConsumer(name),
      filter: log.subjects.all.commandsOfStep(name),
      ackWaitMs: this.served.ackWaitMs,
      onAckWait: (ackWaitMs) => this.#deps.pulse.faster(ackWaitMs / 4),
      demand: () => this.#demand(),
      onDelivery: (delivery) => this.#take(delivery),
    };
    this.#consumption = await log.consume(options);
  }

  /** Its queue is being taken. */
  get taken(): boolean {
    return this.#consumption !== undefined && !this.#consumption.lost;
  }

  /** `demand` may have grown. */
  pull(): void {
    if (!this.#stopping) this.#consumption?.pull();
  }

  /** How many attempts are under way. */
  get running(): number {
    return this.#held.size;
  }

  get inHand(): Iterable<Held> {
    return this.#held.values();
  }

  find(run: string, slot: number): Held | undefined {
    return this.#held.get(this.#deps.log.subjects.command(this.served.step.name, run, slot));
  }

  suspect(stalledMs: number): void {
    for (const held of [...this.#held.values(), ...this.#waiting]) held.suspectFrom(stalledMs);
  }

  /** Takes no more, and gives back what has not been begun. */
  async close(): Promise<void> {
    this.#stopping = true;
    this.#stopResuming();
    for (const held of this.#waiting) {
      held.nak(0);
      this.#drop(held);
    }
    this.#waiting = [];
    await this.#consumption?.stop();
  }

  /** Resolves when nothing is in hand, or after `ms`. @returns whether nothing is. */
  async settled(ms: number): Promise<boolean> {
    if (this.#held.size === 0) return true;
    const { clock } = this.#deps;
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, ms);
      this.#idle.push(() => {
        clock.clearTimeout(timer);
        resolve();
      });
    });
    return this.#held.size === 0;
  }

  /** What its consumer allows now; other workers may have asked it for another. */
  get #ackWaitMs(): number {
    return this.#consumption?.ackWaitMs ?? this.served.ackWaitMs;
  }

  #demand(): number {
    if (this.#stopping || !this.#deps.isolation.open) return 0;
    const free = this.served.step.concurrency - this.#held.size - this.#waiting.length;
    return this.served.breaker ? this.served.breaker.admits(free) : free;
  }

  #take(delivery: Delivery): void {
    const { clock, pulse, log, keepAlive } = this.#deps;
    if (delivery.expired) return;
    if (this.#stopping) return delivery.nak();
    const same = this.#held.get(delivery.subject);
    const again =
      same?.delivery.seq === delivery.seq ? same : this.#waiting.find((w) => w.delivery.seq === delivery.seq);
    if (again) return again.adopt(delivery);
    const held = new Held(delivery, clock, () => this.#ackWaitMs, log.serverNow(), keepAlive);
    held.suspectFrom(pulse.stalledMs(clock.now()));
    held.taken();
    pulse.add(held);
    this.#waiting.push(held);
    this.#begin();
  }

  async #work(held: Held): Promise<void> {
    const { subject } = held.delivery;
    this.#deps.isolation.enter();
    try {
      if (this.#held.has(subject)) this.#violated("lane L3", held, "it is being worked on already");
      this.#held.set(subject, held);
      if (this.#held.size > this.served.step.concurrency)
        this.#violated("lane L2", held, `${this.#held.size} commands are worked on`);
      await work(this.#deps, this.served, held);
      if (held.end === undefined) this.#violated("work K1", held, "it is over, and was neither acked nor given back");
    } catch (error) {
      // It is neither acked nor nak'ed, and so comes again.
      if (!(error instanceof Stopped))
        this.#deps.warn("work on a command", error, this.#deps.log.subjects.parse(subject)?.run);
    } finally {
      this.#drop(held);
      if (this.#held.get(subject) === held) this.#held.delete(subject);
      this.#deps.isolation.leave();
      this.#next();
    }
  }

  /** It is not in hand any more. */
  #drop(held: Held): void {
    this.#deps.pulse.remove(held);
    held.release();
  }

  /** Begins what waits, as far as it may. */
  #begin(): void {
    while (this.#waiting.length > 0 && this.#held.size < this.served.step.concurrency && this.#deps.isolation.open) {
      const index = this.#waiting.findIndex((held) => !this.#held.has(held.delivery.subject));
      if (index < 0) return;
      void this.#work(this.#waiting.splice(index, 1)[0]!);
    }
  }

  #violated(promise: string, { delivery: { subject, deliveries } }: Held, what: string): never {
    const { run = "unknown", step, slot } = this.#deps.log.subjects.parse(subject) ?? {};
    throw new InvariantError(promise, `${what} (delivery ${deliveries})`, { run, step, slot });
  }

  #next(): void {
    this.#begin();
    this.pull();
    if (this.#held.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
