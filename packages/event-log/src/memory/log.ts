import { LogUnavailableError, type StreamKind, type Subjects } from "@stepstream/contracts";
import type { Clock } from "../clock.ts";
import type {
  Appended,
  AppendOptions,
  ConsumeOptions,
  Consumption,
  EventLog,
  ReadOptions,
  Stored,
  Subscription,
} from "../port.ts";
import { MemoryConsumption } from "./consumption.ts";
import { Process } from "./process.ts";
import type { MemoryServer } from "./server.ts";
import { matcher } from "./stream.ts";

/** One process' connection to a {@link MemoryServer}. */
export class MemoryLog implements EventLog {
  readonly serverId = "memory";
  readonly server: MemoryServer;
  readonly process: Process;
  readonly #followers = new Set<{ subject: string; fn: (stored: Stored) => void }>();
  readonly #listeners = new Set<{
    matches: (subject: string) => boolean;
    fn: (text: string, subject: string) => void;
  }>();
  readonly #onReconnect = new Set<(serverId: string) => void>();
  readonly #consumptions = new Set<MemoryConsumption>();
  /** Rejects what waits for an answer, when the connection is lost. */
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(server: MemoryServer, name: string) {
    this.server = server;
    this.process = new Process(name, server.clock);
    server.logs.add(this);
  }

  get subjects(): Subjects {
    return this.server.subjects;
  }

  /** The process' own clock: it stops when the process is paused or killed. */
  get clock(): Clock {
    return this.process.clock;
  }

  // ---------------------------------------------------------------- the port

  append(subject: string, text: string, options?: AppendOptions): Promise<Appended> {
    return this.#ask(`append ${subject}`, () => this.server.append(subject, text, options));
  }

  read(subject: string, { fromSeq = 1, fresh = false }: ReadOptions = {}): Promise<Stored[]> {
    return this.#ask(`read ${subject}`, () => this.server.read(subject, fromSeq, this.#staleMs(fresh)));
  }

  last(subject: string, { fresh = false }: ReadOptions = {}): Promise<Stored | undefined> {
    return this.#ask(`read ${subject}`, () => this.server.read(subject, 1, this.#staleMs(fresh)).at(-1));
  }

  list(stream: StreamKind, filter: string): Promise<Map<string, number>> {
    return this.#ask(`list ${filter}`, () => this.server.stream(stream).list(filter));
  }

  purge(subject: string, { keep = 0 }: { keep?: number } = {}): Promise<number> {
    return this.#ask(`purge ${subject}`, () => this.server.purge(subject, keep));
  }

  setTimer(run: string, slot: number, atMs: number): Promise<void> {
    return this.#ask(`set timer ${run}.${slot}`, () => this.server.setTimer(run, slot, atMs));
  }

  cancelTimer(run: string, slot: number): Promise<void> {
    return this.#ask(`cancel timer ${run}.${slot}`, () => this.server.cancelTimer(run, slot));
  }

  delivered(stream: StreamKind, consumer: string): Promise<number> {
    return this.#ask(`look at consumer ${consumer}`, () => this.server.delivered(stream, consumer));
  }

  async consume(options: ConsumeOptions): Promise<Consumption> {
    const { stream, consumer, filter, ackWaitMs } = options;
    const durable = await this.#ask(`consume ${consumer}`, () =>
      this.server.consumer(stream, consumer, filter, ackWaitMs),
    );
    const consumption = new MemoryConsumption(this, durable, options, () => this.#consumptions.delete(consumption));
    this.#consumptions.add(consumption);
    consumption.pull();
    return consumption;
  }

  followJournal(run: string, fn: (stored: Stored) => void): Subscription {
    const follower = { subject: this.subjects.journal(run), fn };
    this.#followers.add(follower);
    return { stop: () => void this.#followers.delete(follower) };
  }

  broadcast(subject: string, text: string): void {
    if (this.process.killed || !this.process.connected) return;
    this.effect(`broadcast ${subject}`);
    if (!this.process.killed) for (const log of this.server.logs) log.onBroadcast(subject, text);
  }

  listen(filter: string, fn: (text: string, subject: string) => void): Subscription {
    const listener = { matches: matcher(filter), fn };
    this.#listeners.add(listener);
    return { stop: () => void this.#listeners.delete(listener) };
  }

  onReconnect(fn: (serverId: string) => void): Subscription {
    this.#onReconnect.add(fn);
    return { stop: () => void this.#onReconnect.delete(fn) };
  }

  async close(): Promise<void> {
    this.#disconnect();
    this.server.logs.delete(this);
  }

  // ---------------------------------------------------------------- what can happen to a process

  /** The process dies now. What it had sent may still arrive; nothing else of it ever happens. */
  kill(): void {
    this.process.kill();
    this.#waiting.clear();
    this.#disconnect();
    this.server.logs.delete(this);
  }

  /** The process is frozen for so long; then all that has waited arrives in one go. */
  pause(ms: number): void {
    this.process.pause();
    this.server.clock.setTimeout(() => this.process.resume(), ms);
  }

  /** The connection is lost for so long. */
  cut(downMs: number): void {
    if (this.process.killed || !this.process.connected) return;
    this.process.connected = false;
    this.process.connection++;
    this.#disconnect();
    this.process.reach(() => {
      for (const reject of this.#waiting) reject(new LogUnavailableError("a request", "the connection was lost"));
      this.#waiting.clear();
    });
    this.server.clock.setTimeout(() => {
      if (this.process.killed) return;
      this.process.connected = true;
      this.process.reach(() => {
        for (const consumption of this.#consumptions) consumption.reconnected();
        for (const fn of this.#onReconnect) fn(this.serverId);
      });
    }, downMs);
  }

  #disconnect(): void {
    for (const consumption of this.#consumptions) consumption.disconnected();
  }

  // ---------------------------------------------------------------- the wire

  /** The process is about to do something: a simulation may crash it here. */
  effect(what: string): void {
    this.server.faults?.onEffect?.(this.process.name, what);
  }

  /** From the server to the process, if its connection holds so long. */
  arrive(fn: () => void, afterMs: number): void {
    const { connection } = this.process;
    const reach = () => {
      if (this.process.connection === connection) this.process.reach(fn);
    };
    if (this.server.faults) this.server.clock.setTimeout(reach, afterMs);
    else reach();
  }

  onJournal(stored: Stored): void {
    for (const { subject, fn } of this.#followers)
      if (subject === stored.subject) this.arrive(() => fn(stored), this.server.faults?.latencyMs() ?? 0);
  }

  onBroadcast(subject: string, text: string): void {
    const { faults } = this.server;
    for (const { matches, fn } of this.#listeners)
      if (matches(subject) && !faults?.loses("broadcast"))
        this.arrive(() => fn(text, subject), faults?.latencyMs() ?? 0);
  }

  #staleMs(fresh: boolean): number {
    return fresh ? 0 : (this.server.faults?.staleMs() ?? 0);
  }

  #ask<T>(what: string, apply: () => T): Promise<T> {
    const { faults, clock } = this.server;
    this.effect(what);
    if (this.process.killed) return new Promise(() => {});
    if (!faults && this.process.connected) return new Promise((resolve) => resolve(apply()));
    return new Promise((resolve, reject) => {
      if (!this.process.connected) {
        this.process.clock.setTimeout(() => reject(new LogUnavailableError(what, "not connected")), 20);
        return;
      }
      const timer = this.process.clock.setTimeout(() => {
        this.#waiting.delete(give);
        reject(new LogUnavailableError(what, "no answer in time"));
      }, faults!.timeoutMs);
      const give = (error: Error) => {
        this.process.clock.clearTimeout(timer);
        reject(error);
      };
      this.#waiting.add(give);
      if (faults!.loses("request")) return;
      const losesAnswer = faults!.loses("answer");
      clock.setTimeout(() => {
        let result: T | undefined;
        let error: unknown;
        try {
          result = apply();
        } catch (thrown) {
          error = thrown;
        }
        if (losesAnswer) return;
        this.arrive(() => {
          if (!this.#waiting.delete(give)) return;
          this.process.clock.clearTimeout(timer);
          if (error) reject(error);
          else resolve(result!);
        }, faults!.latencyMs());
      }, faults!.latencyMs());
    });
  }
}
