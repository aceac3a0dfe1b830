import { MAX_SCHEDULE_MS, type Retention, type StreamKind, Subjects } from "@stepstream/contracts";
import { type Clock, systemClock } from "../clock.ts";
import type { Appended, AppendOptions, Backlog, NamespaceState, Progress, Stored } from "../port.ts";
import { callAt } from "./at.ts";
import { MemoryConsumer } from "./consumer.ts";
import type { Faults } from "./faults.ts";
import { MemoryLog } from "./log.ts";
import { matcher } from "./matcher.ts";
import { MemoryStream, RULES } from "./stream.ts";

export interface MemoryServerOptions {
  /** Default "test". */
  namespace?: string;
  /** Default 4. */
  partitions?: number;
  /** Default: the system's. */
  clock?: Clock;
  faults?: Faults;
  /** Default "memory". After a restart it has a number behind it. */
  serverId?: string;
  /** How long message ids are remembered, in milliseconds. Default 120,000, as on JetStream. */
  dedupeMs?: number;
}

export interface RestartOptions {
  /** How long nobody can connect, in milliseconds. Default 0. */
  downMs?: number;
  /**
   * Consumers forget what they did no longer ago than this: acknowledgements (but not those of a work queue, whose
   * message is gone), and that messages were delivered at all. nats-server 2.15: about 100. At most 1,000; default 0.
   */
  forgetMs?: number;
  /** Without fsync, and with the power gone: what was stored no longer ago than this has never been. Default 0. */
  loseTailMs?: number;
}

const DUE = '{"v":1,"type":"TimerDue"}';

/**
 * The streams of one namespace, in memory: what a nats-server would hold. Connect processes to it.
 *
 * What is asked of it here happens now, and surely; whatever can happen on the way is the business of {@link MemoryLog}.
 */
export class MemoryServer {
  readonly subjects: Subjects;
  readonly clock: Clock;
  faults: Faults | undefined;
  /** Which ended runs are removed. */
  retention: Retention | undefined;
  /** Those connected, to tell them of journals and broadcasts. */
  readonly logs = new Set<MemoryLog>();
  /** How often it has been started. */
  life = 1;
  readonly #serverId: string;
  readonly #streams: Readonly<Record<StreamKind, MemoryStream>>;
  readonly #consumers: Readonly<Record<StreamKind, Map<string, MemoryConsumer>>>;
  readonly #journals: string;
  /** When schedules fire, by subject. */
  readonly #fireAt = new Map<string, number>();
  /** Subjects of schedules that were replaced since the last start: see {@link restart}. */
  readonly #replaced = new Set<string>();
  #upAt = Number.NEGATIVE_INFINITY;

  constructor(options: MemoryServerOptions = {}) {
    const {
      namespace = "test",
      partitions = 4,
      clock = systemClock,
      faults,
      serverId = "memory",
      dedupeMs = 120_000,
    } = options;
    this.subjects = new Subjects(namespace, partitions);
    this.clock = clock;
    this.faults = faults;
    this.#serverId = serverId;
    this.#journals = `${namespace}.journal.`;
    const each = <T>(make: (kind: StreamKind) => T): Record<StreamKind, T> => ({
      EVENTS: make("EVENTS"),
      COMMANDS: make("COMMANDS"),
      TIMERS: make("TIMERS"),
      DEAD: make("DEAD"),
    });
    this.#streams = each((kind) => new MemoryStream(RULES[kind], dedupeMs));
    this.#consumers = each(() => new Map());
    for (const kind of Object.keys(RULES) as StreamKind[])
      this.#streams[kind].onRemoved = (seq) => {
        for (const consumer of this.#consumers[kind].values()) consumer.removed(seq);
      };
  }

  get serverId(): string {
    return this.life === 1 ? this.#serverId : `${this.#serverId}-${this.life}`;
  }

  /** How long it is still down, in milliseconds; 0 if it is up. */
  get downMs(): number {
    return Math.max(0, this.#upAt - this.clock.now());
  }

  /** A new process, connected. */
  connect(name = "client"): MemoryLog {
    return new MemoryLog(this, name);
  }

  /**
   * The server is killed and started again on its store. Its timers go on, its clients reconnect. Schedules that were
   * replaced since it was last started, and have fired or were removed since, are listed again, and never fire (as on
   * nats-server 2.15.1).
   */
  restart({ downMs = 0, forgetMs = 0, loseTailMs = 0 }: RestartOptions = {}): void {
    const now = this.clock.now();
    this.life++;
    this.#upAt = now + downMs;
    for (const kind of Object.keys(RULES) as StreamKind[]) {
      const stream = this.#streams[kind];
      if (loseTailMs > 0) stream.forgetAfter(now - loseTailMs);
      else stream.forgetIdsOfTheGone();
      for (const consumer of this.#consumers[kind].values()) consumer.restart(forgetMs);
    }
    for (const subject of this.#replaced)
      if (this.#streams.TIMERS.lastOf(subject) === 0) this.#streams.TIMERS.append(subject, DUE, now);
    this.#replaced.clear();
    for (const log of [...this.logs]) log.cut(downMs);
  }

  /** Messages go missing: by a purge, a deletion by hand, a disk. @returns How many. */
  lose(kind: StreamKind, which: (subject: string) => boolean): number {
    const stream = this.#streams[kind];
    const subjects = [...stream.list(">").keys()].filter(which);
    return subjects.reduce((sum, subject) => sum + stream.remove(subject), 0);
  }

  stream(kind: StreamKind): MemoryStream {
    return this.#streams[kind];
  }

  append(subject: string, text: string, options?: AppendOptions): Appended {
    const kind = this.subjects.streamOf(subject);
    const stream = this.#streams[kind];
    const appended = stream.append(subject, text, this.clock.now(), options);
    if (appended.duplicate) return appended;
    if (subject.startsWith(this.#journals)) {
      const stored = stream.get(appended.seq)!;
      for (const log of this.logs) log.onJournal(stored);
    }
    for (const consumer of this.#consumers[kind].values()) consumer.dispatch();
    return appended;
  }

  /** @param hideYoungerMs - As a replica that is so far behind would see it. */
  read(subject: string, fromSeq: number, hideYoungerMs: number): Stored[] {
    const all = this.#of(subject);
    const until = hideYoungerMs > 0 ? this.clock.now() - hideYoungerMs : Number.POSITIVE_INFINITY;
    return all.filter((stored) => stored.seq >= fromSeq && stored.at <= until);
  }

  last(subject: string, hideYoungerMs: number): Stored | undefined {
    const all = this.#of(subject);
    if (hideYoungerMs <= 0) return all.at(-1);
    const until = this.clock.now() - hideYoungerMs;
    return all.findLast((stored) => stored.at <= until);
  }

  /** Removes messages by their sequences. */
  remove(subject: string, keep?: number, upTo?: number): number {
    return this.#streams[this.subjects.streamOf(subject)].remove(subject, keep, upTo);
  }

  /** What `STREAM.PURGE` with a subject does, which is more than to remove messages: see {@link MemoryConsumer.purged}. */
  purge(subject: string, keep?: number, upTo?: number): number {
    const kind = this.subjects.streamOf(subject);
    return this.#streams[kind].purge(subject, keep, upTo, this.#consumers[kind].values());
  }

  namespace(): NamespaceState {
    const { lastSeq, size } = this.#streams.EVENTS;
    return { ...(this.retention && { retention: this.retention }), removed: lastSeq - size };
  }

  /** The oldest message from a sequence on whose subject matches. */
  oldest(kind: StreamKind, filter: string, fromSeq: number): Stored | undefined {
    return this.#streams[kind].next(matcher(filter), fromSeq);
  }

  /** A schedule is a message: replaced by the next on its subject, and off once it is purged. */
  setTimer(run: string, slot: number, atMs: number): void {
    const subject = this.subjects.timer(run, slot);
    const stream = this.#streams.TIMERS;
    if (stream.lastOf(subject) > 0) this.#replaced.add(subject);
    const { seq } = stream.append(subject, DUE, this.clock.now());
    this.#fireAt.set(subject, atMs);
    const fire = () => {
      if (stream.lastOf(subject) !== seq) return;
      if (this.downMs > 0) return wait(this.#upAt);
      stream.remove(subject);
      this.append(this.subjects.due(run, slot), DUE);
    };
    const wait = (at: number) => {
      callAt(this.clock, Math.ceil(at) + (this.faults?.timerLateMs() ?? 0), fire);
    };
    wait(Math.max(atMs, this.clock.now()));
  }

  timerAt(run: string, slot: number): number | undefined {
    const subject = this.subjects.timer(run, slot);
    const at = this.#streams.TIMERS.lastOf(subject) === 0 ? undefined : this.#fireAt.get(subject);
    return at === undefined ? undefined : Math.ceil(Math.min(MAX_SCHEDULE_MS, at));
  }

  cancelTimer(run: string, slot: number): void {
    this.remove(this.subjects.timer(run, slot));
  }

  /** Makes it if it is not there. */
  consumer(kind: StreamKind, name: string, filter: string, ackWaitMs: number): MemoryConsumer {
    let consumer = this.#consumers[kind].get(name);
    if (!consumer) {
      consumer = new MemoryConsumer(this.clock, this.#streams[kind], filter, ackWaitMs);
      this.#consumers[kind].set(name, consumer);
    }
    consumer.wish(ackWaitMs);
    return consumer;
  }

  /** Is there a message of the subject that its consumer is not done with? For those who look at it from outside. */
  isUndone(subject: string, name: string): boolean {
    const kind = this.subjects.streamOf(subject);
    const consumer = this.#consumers[kind].get(name);
    return this.#streams[kind].of(subject).some(({ seq }) => consumer?.holds(seq) ?? true);
  }

  /** Is there a command, or a message that some consumer is not done with? For those who look at it from outside. */
  get busy(): boolean {
    if (this.#streams.COMMANDS.size > 0) return true;
    return [...this.#consumers.EVENTS.values(), ...this.#consumers.TIMERS.values()].some((consumer) => consumer.busy);
  }

  /** How often the command that was delivered most often was, of those that nobody has done with. From outside as well. */
  get mostDeliveries(): number {
    return Math.max(0, ...[...this.#consumers.COMMANDS.values()].map((consumer) => consumer.mostDeliveries));
  }

  /** When the next of the stored timers is to fire, in epoch milliseconds; undefined if none is stored. */
  get nextTimerAt(): number | undefined {
    let next: number | undefined;
    for (const [subject, at] of this.#fireAt) {
      if (this.#streams.TIMERS.lastOf(subject) === 0) this.#fireAt.delete(subject);
      else if (next === undefined || at < next) next = at;
    }
    return next;
  }

  progress(kind: StreamKind, name: string): Progress {
    const { delivered = 0, ackFloor = 0 } = this.#consumers[kind].get(name) ?? {};
    return { delivered, ackFloor };
  }

  backlog(kind: StreamKind): Map<string, Backlog> {
    return new Map([...this.#consumers[kind]].map(([name, consumer]) => [name, consumer.backlog]));
  }

  #of(subject: string): readonly Stored[] {
    return this.#streams[this.subjects.streamOf(subject)].of(subject);
  }
}
