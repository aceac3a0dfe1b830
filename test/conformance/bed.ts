import type { ConsumeOptions, Consumption, Delivery, EventLog } from "@stepstream/event-log";

/** What the conformance suite runs on: a server with a namespace of its own. */
export interface Bed {
  /** A new "process" on that server and namespace. */
  connect(): Promise<EventLog>;
  /** The connection of `log` is lost, and comes back by itself soon after. */
  cut?(log: EventLog): Promise<void>;
  /** The server is killed (SIGKILL) and started again on the same store; clients reconnect by themselves. */
  restartServer?(): Promise<void>;
  close(): Promise<void>;
}

/** Keeps what comes, and lets a test wait until enough has come. */
export class Caught<T> {
  readonly all: T[] = [];
  #waiters: { enough: (all: readonly T[]) => boolean; resolve: () => void }[] = [];

  add(one: T): void {
    this.all.push(one);
    this.#waiters = this.#waiters.filter(({ enough, resolve }) => !enough(this.all) || resolve());
  }
  until(enough: (all: readonly T[]) => boolean): Promise<T[]> {
    if (enough(this.all)) return Promise.resolve(this.all);
    return new Promise((resolve) => this.#waiters.push({ enough, resolve: () => resolve(this.all) }));
  }
  count(n: number): Promise<T[]> {
    return this.until((all) => all.length >= n);
  }
  /** The n-th, from 1. */
  async nth(n: number): Promise<T> {
    return (await this.count(n))[n - 1]!;
  }
}

/** A consumption, with all that came of it. */
export interface Taking extends Consumption {
  readonly came: Caught<Delivery>;
  readonly interrupted: Caught<string>;
}

export type TakeOptions = Partial<ConsumeOptions> & {
  /** Called with each delivery before it is kept. Default: nothing, so it stays unacknowledged. */
  on?: (delivery: Delivery) => void;
};

/** Consumes and keeps. */
async function take(log: EventLog, wanted: ConsumeOptions, { on, ...options }: TakeOptions): Promise<Taking> {
  const came = new Caught<Delivery>();
  const interrupted = new Caught<string>();
  const consumption = await log.consume({
    ...wanted,
    onDelivery(delivery) {
      on?.(delivery);
      came.add(delivery);
    },
    onInterrupted: (why) => interrupted.add(why),
    ...options,
  });
  return {
    get ackWaitMs() {
      return consumption.ackWaitMs;
    },
    pull: () => consumption.pull(),
    stop: () => consumption.stop(),
    came,
    interrupted,
  };
}

const patient = { ackWaitMs: 30_000, demand: () => 100, onDelivery: () => {} };

/** All inbox messages of the namespace. */
export function takeInboxes(log: EventLog, options: TakeOptions = {}): Promise<Taking> {
  const filter = `${log.subjects.namespace}.inbox.>`;
  return take(log, { ...patient, stream: "EVENTS", consumer: "inboxes", filter }, options);
}

/** The commands of a step. */
export function takeCommands(log: EventLog, step: string, options: TakeOptions = {}): Promise<Taking> {
  const { subjects } = log;
  const consumer = subjects.stepConsumer(step);
  return take(log, { ...patient, stream: "COMMANDS", consumer, filter: subjects.all.commandsOfStep(step) }, options);
}

/** The timers that have come due, acknowledged as they come. */
export function takeDue(log: EventLog, options: TakeOptions = {}): Promise<Taking> {
  const on = (delivery: Delivery) => delivery.ack();
  const filter = log.subjects.all.due();
  return take(log, { ...patient, stream: "TIMERS", consumer: "due", filter }, { on, ...options });
}

export const ack = (delivery: Delivery): void => delivery.ack();

export function texts(all: readonly { text: string }[]): string[] {
  return all.map(({ text }) => text);
}

/** How often each text is among them. */
export function counted(all: readonly { text: string }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { text } of all) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}
