import { LogRefusedError, type StreamKind, Subjects, WrongLastSequenceError } from "@stepstream/contracts";
import { type Clock, systemClock } from "../clock.ts";
import type { Appended, AppendOptions, Stored } from "../port.ts";
import { MemoryConsumer } from "./consumer.ts";
import type { Faults } from "./faults.ts";
import { MemoryLog } from "./log.ts";
import { MemoryStream } from "./stream.ts";

export interface MemoryServerOptions {
  /** Default "test". */
  namespace?: string;
  /** Default 4. */
  partitions?: number;
  /** Default: the system's. */
  clock?: Clock;
  faults?: Faults;
}

/** The streams of one namespace, in memory: what a nats-server would hold. Connect processes to it. */
export class MemoryServer {
  readonly subjects: Subjects;
  readonly clock: Clock;
  faults: Faults | undefined;
  /** What everybody hears: journals as they are stored, broadcasts. */
  readonly logs = new Set<MemoryLog>();
  readonly #streams: Record<StreamKind, MemoryStream>;
  readonly #consumers = new Map<string, { stream: StreamKind; consumer: MemoryConsumer }>();
  readonly #timers = new Map<string, unknown>();

  constructor({ namespace = "test", partitions = 4, clock = systemClock, faults }: MemoryServerOptions = {}) {
    this.subjects = new Subjects(namespace, partitions);
    this.clock = clock;
    this.faults = faults;
    this.#streams = {
      EVENTS: new MemoryStream(),
      COMMANDS: new MemoryStream(),
      TIMERS: new MemoryStream(),
      DEAD: new MemoryStream(),
    };
  }

  /** A new process, connected. */
  connect(name = "client"): MemoryLog {
    return new MemoryLog(this, name);
  }

  stream(kind: StreamKind): MemoryStream {
    return this.#streams[kind];
  }

  append(subject: string, text: string, { expectLast, id }: AppendOptions = {}): Appended {
    const kind = this.subjects.streamOf(subject);
    const stream = this.#streams[kind];
    const now = this.clock.now();
    const first = id === undefined ? undefined : stream.byId(id, now);
    if (first !== undefined) return { seq: first, duplicate: true };
    const last = stream.lastOf(subject);
    if (expectLast !== undefined && expectLast !== last) throw new WrongLastSequenceError(subject, expectLast);
    if (kind === "COMMANDS" && last > 0)
      throw new LogRefusedError(`a message on ${subject}`, 10077, "maximum messages per subject exceeded");
    const stored = stream.append(subject, text, now, id);
    if (subject.startsWith(`${this.subjects.namespace}.journal.`)) for (const log of this.logs) log.onJournal(stored);
    this.dispatch(kind);
    return { seq: stored.seq, duplicate: false };
  }

  purge(subject: string, keep: number): number {
    const stream = this.#streams[this.subjects.streamOf(subject)];
    const stored = stream.of(subject);
    const gone = stored.slice(0, Math.max(0, stored.length - keep));
    for (const { seq } of gone) stream.delete(seq);
    return gone.length;
  }

  setTimer(run: string, slot: number, atMs: number): void {
    this.cancelTimer(run, slot);
    const subject = this.subjects.timer(run, slot);
    const late = this.faults?.timerLateMs() ?? 0;
    this.#streams.TIMERS.append(subject, '{"v":1,"type":"TimerDue"}', this.clock.now());
    const fire = () => {
      this.cancelTimer(run, slot);
      this.append(this.subjects.due(run, slot), '{"v":1,"type":"TimerDue"}');
    };
    const handle = this.clock.setTimeout(fire, Math.max(0, Math.ceil(atMs) - this.clock.now()) + late);
    (handle as { unref?: () => void } | undefined)?.unref?.();
    this.#timers.set(subject, handle);
  }

  cancelTimer(run: string, slot: number): void {
    const subject = this.subjects.timer(run, slot);
    this.clock.clearTimeout(this.#timers.get(subject));
    this.#timers.delete(subject);
    this.purge(subject, 0);
  }

  consumer(stream: StreamKind, name: string, filter: string, ackWaitMs: number): MemoryConsumer {
    const key = `${stream}/${name}`;
    let entry = this.#consumers.get(key);
    if (!entry) {
      const onAck = (seq: number) => stream !== "EVENTS" && this.#streams[stream].delete(seq);
      const consumer = new MemoryConsumer(this.clock, this.#streams[stream], filter, ackWaitMs, onAck);
      entry = { stream, consumer };
      this.#consumers.set(key, entry);
    }
    entry.consumer.ackWaitMs = ackWaitMs;
    return entry.consumer;
  }

  delivered(stream: StreamKind, name: string): number {
    return this.#consumers.get(`${stream}/${name}`)?.consumer.delivered ?? 0;
  }

  dispatch(kind: StreamKind): void {
    for (const { stream, consumer } of this.#consumers.values()) if (stream === kind) consumer.dispatch();
  }

  read(subject: string, fromSeq: number, hideYoungerMs: number): Stored[] {
    const all = this.#streams[this.subjects.streamOf(subject)].of(subject);
    const until = this.clock.now() - hideYoungerMs;
    return all.filter((stored) => stored.seq >= fromSeq && (hideYoungerMs === 0 || stored.at <= until));
  }
}
