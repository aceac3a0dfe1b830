import {
  isTooLong,
  LogUnavailableError,
  MessageTooLargeError,
  type StreamKind,
  type Subjects,
} from "@stepstream/contracts";
import { Callbacks } from "../callbacks.ts";
import type { Clock } from "../clock.ts";
import type {
  Appended,
  AppendOptions,
  Backlog,
  ConsumeOptions,
  Consumption,
  Denial,
  EventLog,
  NamespaceState,
  Progress,
  ReadOptions,
  Stored,
  Subscription,
} from "../port.ts";
import { MemoryConsumption } from "./consumption.ts";
import { matcher } from "./matcher.ts";
import { Process } from "./process.ts";
import type { MemoryServer } from "./server.ts";
import { type Lane, Wire } from "./wire.ts";

interface Follower {
  lane: Lane;
  fn: (stored: Stored) => void;
}
interface Listener {
  lane: Lane;
  matches: (subject: string) => boolean;
  fn: (text: string, subject: string) => void;
}

interface Answerer {
  lane: Lane;
  matches: (subject: string) => boolean;
  fn: (text: string, subject: string) => Promise<string | undefined>;
}

/** Somebody without a connection learns it a moment later: who tries again at once must not stop time. */
const REFUSED_MS = 1;

/**
 * One process' connection to a {@link MemoryServer}.
 *
 * G1. Every promise settles: by the answer, after `timeoutMs`, or by the cut. Unless the process is killed: then
 *     none does.
 * G2. An answer that lies unread is read before its time-out counts.
 * G3. Each effect on the server is announced to `faults.onEffect`, and does not happen if that kills the process.
 *
 * Checked elsewhere:
 *   G1  test/simulation/log.test.ts: fails at once who waits for an answer, and tells of the reconnection
 *   G2  test/simulation/log.test.ts: reads an answer that came in time before it takes it for lost
 *   G3  test/simulation/log.test.ts: does not do what it was about to do
 */
export class MemoryLog implements EventLog {
  readonly server: MemoryServer;
  readonly process: Process;
  readonly wire: Wire;
  readonly callbacks = new Callbacks();
  #serverId: string;
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #listeners = new Set<Listener>();
  readonly #answerers = new Set<Answerer>();
  readonly #onReconnect = new Set<(serverId: string) => void>();
  readonly #consumptions = new Set<MemoryConsumption>();
  /** Of those who wait for an answer: what fails them. */
  readonly #open = new Set<(why: string) => void>();

  constructor(server: MemoryServer, name: string) {
    this.server = server;
    this.process = new Process(name, server.clock);
    this.wire = new Wire(server, this.process);
    this.#serverId = server.serverId;
    this.process.onWake = () => {
      for (const consumption of this.#consumptions) consumption.woken();
    };
    server.logs.add(this);
    if (server.downMs > 0) this.cut(server.downMs);
  }

  get serverId(): string {
    return this.#serverId;
  }
  get subjects(): Subjects {
    return this.server.subjects;
  }

  serverNow(): number {
    return this.server.clock.now();
  }

  /** The process' own clock: what runs in the process takes its time from here, so that it can be killed and paused. */
  get clock(): Clock {
    return this.process.clock;
  }

  // ---------------------------------------------------------------- the port

  append(subject: string, text: string, options?: AppendOptions): Promise<Appended> {
    if (isTooLong(text))
      return Promise.reject(new MessageTooLargeError(`an append to ${subject}`, Buffer.byteLength(text)));
    return this.#ask(`append ${subject}`, () => this.server.append(subject, text, options));
  }

  read(subject: string, { fromSeq = 1, fresh = false }: ReadOptions = {}): Promise<Stored[]> {
    return this.#ask(`read ${subject}`, () => this.server.read(subject, fromSeq, this.#staleMs(fresh)));
  }

  last(subject: string, { fresh = false }: ReadOptions = {}): Promise<Stored | undefined> {
    return this.#ask(`read ${subject}`, () => this.server.last(subject, this.#staleMs(fresh)));
  }

  lasts(subjects: readonly string[]): Promise<Map<string, Stored>> {
    const staleMs = this.#staleMs(false);
    const lasts = () => subjects.flatMap((subject) => this.server.last(subject, staleMs) ?? []);
    return this.#ask(
      `read the last of ${subjects.length} subjects`,
      () => new Map(lasts().map((one) => [one.subject, one])),
    );
  }

  list(stream: StreamKind, filter: string): Promise<Map<string, number>> {
    return this.#ask(`list ${filter}`, () => this.server.stream(stream).list(filter));
  }

  count(stream: StreamKind, filter: string, fromSeq = 1): Promise<number> {
    return this.#ask(`count ${filter}`, () => this.server.stream(stream).count(matcher(filter), fromSeq));
  }

  oldest(stream: StreamKind, filter: string, fromSeq = 1): Promise<Stored | undefined> {
    return this.#ask(`look for the oldest of ${filter}`, () => this.server.oldest(stream, filter, fromSeq));
  }

  scan(stream: StreamKind, filter: string, fromSeq: number, limit: number): Promise<Stored[]> {
    return this.#ask(`scan ${filter}`, () => this.server.stream(stream).page(matcher(filter), fromSeq, limit));
  }

  /** Only where something was chosen: so that the others do not pay for the questions. */
  get namespace(): (() => Promise<NamespaceState>) | undefined {
    if (this.server.retention === undefined) return undefined;
    return () => this.#ask("look at the namespace", () => this.server.namespace());
  }

  /** Message by message, as the JetStream log does it (V1 to V4 of its remover.ts): a crash can come between any two. */
  async remove(subject: string, { keep = 0, upTo = Number.POSITIVE_INFINITY } = {}): Promise<number> {
    const all = await this.#ask(`read ${subject}`, () => this.server.read(subject, 1, 0));
    const doomed = all.slice(0, Math.max(0, all.length - keep)).filter(({ seq }) => seq <= upTo);
    const stream = this.server.stream(this.subjects.streamOf(subject));
    const removeOne = ({ seq }: Stored) => this.#ask(`remove ${subject}`, () => stream.delete(seq));
    const [first, ...rest] = doomed;
    let removed = 0;
    if (first) removed += Number(await removeOne(first));
    for (const one of await Promise.all(rest.map(removeOne))) removed += Number(one);
    return removed;
  }

  setTimer(run: string, slot: number, atMs: number): Promise<void> {
    return this.#ask(`set timer ${run}.${slot}`, () => this.server.setTimer(run, slot, atMs));
  }

  timerAt(run: string, slot: number): Promise<number | undefined> {
    return this.#ask(`look at timer ${run}.${slot}`, () => this.server.timerAt(run, slot));
  }

  cancelTimer(run: string, slot: number): Promise<void> {
    return this.#ask(`cancel timer ${run}.${slot}`, () => this.server.cancelTimer(run, slot));
  }

  progress(stream: StreamKind, consumer: string): Promise<Progress> {
    return this.#ask(`look at consumer ${consumer}`, () => this.server.progress(stream, consumer));
  }

  backlog(stream: StreamKind): Promise<Map<string, Backlog>> {
    return this.#ask(`look at the consumers of ${stream}`, () => this.server.backlog(stream));
  }

  async consume(options: ConsumeOptions): Promise<Consumption> {
    const { stream, consumer, filter, ackWaitMs } = options;
    const make = () => this.server.consumer(stream, consumer, filter, ackWaitMs);
    const durable = await this.#ask(`consume ${consumer}`, make);
    const consumption = new MemoryConsumption(this, durable, options, () => this.#consumptions.delete(consumption));
    this.#consumptions.add(consumption);
    return consumption;
  }

  followJournal(run: string, fn: (stored: Stored) => void): Subscription {
    const subject = this.subjects.journal(run);
    const followers = this.#followers.get(subject) ?? new Set();
    this.#followers.set(subject, followers);
    return this.#subscribe(followers, { lane: [], fn });
  }

  listen(filter: string, fn: (text: string, subject: string) => void): Subscription {
    return this.#subscribe(this.#listeners, { lane: [], matches: matcher(filter), fn });
  }

  broadcast(subject: string, text: string): void {
    this.#tell(`broadcast ${subject}`, undefined, () => {
      for (const log of this.server.logs) log.onBroadcast(subject, text);
    });
  }

  ask(subject: string, text: string, timeoutMs: number): Promise<string | undefined> {
    if (!this.#effect(`ask ${subject}`)) return new Promise(() => {});
    return new Promise((resolve) => {
      if (!this.process.connected) return void this.process.clock.setTimeout(() => resolve(undefined), REFUSED_MS);
      const settle = (answer: string | undefined) => {
        this.process.clock.clearTimeout(timer);
        resolve(answer);
      };
      const timer = this.process.clock.setTimeout(() => settle(undefined), timeoutMs);
      const back = (answer?: string) => this.wire.down([], () => settle(answer));
      this.wire.up(undefined, () => {
        let asked = 0;
        for (const log of this.server.logs) asked += log.onQuestion(subject, text, back);
        if (asked === 0) back();
      });
    });
  }

  answer(filter: string, fn: (text: string, subject: string) => Promise<string | undefined>): Subscription {
    return this.#subscribe(this.#answerers, { lane: [], matches: matcher(filter), fn });
  }

  onReconnect(fn: (serverId: string) => void): Subscription {
    const own = (serverId: string) => fn(serverId);
    this.#onReconnect.add(own);
    return { stop: () => void this.#onReconnect.delete(own) };
  }

  /** Everything is permitted. */
  denials(): readonly Denial[] {
    return [];
  }

  onError(fn: (what: string, error: unknown) => void): Subscription {
    return this.callbacks.onError(fn);
  }

  async close(): Promise<void> {
    if (this.process.killed) return new Promise(() => {});
    if (this.process.closed) return;
    await Promise.all([...this.#consumptions].map((consumption) => consumption.stop()));
    this.#fail("the log was closed");
    this.process.close();
    this.server.logs.delete(this);
  }

  // ---------------------------------------------------------------- what can happen to a process

  /** The process dies now. What it had sent may still arrive; nothing else of it ever happens. */
  kill(): void {
    if (this.process.killed) return;
    this.process.kill();
    this.#open.clear();
    this.#disconnected();
    this.server.logs.delete(this);
  }

  /** The process is frozen for so long; then all that has waited arrives in one go. */
  pause(ms: number): void {
    this.process.pause(ms);
  }

  /** The connection is lost, with all that is on its way, and comes back after so long. */
  cut(downMs: number): void {
    if (!this.process.connected) return;
    this.process.connected = false;
    this.process.connection++;
    this.#disconnected();
    this.process.reach(() => this.#fail("the connection was lost"));
    this.#reconnectIn(downMs);
  }

  #reconnectIn(ms: number): void {
    this.server.clock.setTimeout(() => {
      if (this.process.killed || this.process.closed) return;
      if (this.server.downMs > 0) return this.#reconnectIn(this.server.downMs);
      this.process.connected = true;
      this.process.reach(() => {
        this.#serverId = this.server.serverId;
        for (const consumption of this.#consumptions) consumption.reconnected();
        for (const fn of [...this.#onReconnect]) this.callbacks.call("a listener to reconnections", fn, this.#serverId);
      });
    }, ms);
  }

  #disconnected(): void {
    for (const consumption of this.#consumptions) consumption.disconnected(this.server.faults?.latencyMs("up") ?? 0);
  }

  #fail(why: string): void {
    for (const fail of [...this.#open]) fail(why);
  }

  // ---------------------------------------------------------------- down

  onJournal(stored: Stored): void {
    const followers = this.#followers.get(stored.subject);
    const what = `a listener to ${stored.subject}`;
    for (const one of followers ?? [])
      this.wire.down(one.lane, () => {
        if (followers!.has(one)) this.callbacks.call(what, one.fn, stored);
      });
  }

  onBroadcast(subject: string, text: string): void {
    for (const one of this.#listeners)
      if (one.matches(subject) && !this.server.faults?.loses("broadcast"))
        this.wire.down(one.lane, () => {
          if (this.#listeners.has(one)) this.callbacks.call(`a listener on ${subject}`, one.fn, text, subject);
        });
  }

  /** @returns how many listen here. */
  onQuestion(subject: string, text: string, reply: (answer: string) => void): number {
    const asked = [...this.#answerers].filter((one) => one.matches(subject));
    for (const one of asked) {
      if (this.server.faults?.loses("broadcast")) continue;
      this.wire.down(one.lane, async () => {
        if (!this.#answerers.has(one)) return;
        const answer = await (async () => one.fn(text, subject))().catch((error) =>
          this.callbacks.report(`an answer on ${subject}`, error),
        );
        if (answer !== undefined) this.#tell(`answer ${subject}`, undefined, () => reply(answer));
      });
    }
    return asked.length;
  }

  /** It takes effect when the server knows of it, and ends at once. */
  #subscribe<T>(all: Set<T>, one: T): Subscription {
    const { faults, clock } = this.server;
    let stopped = false;
    const add = () => {
      if (!stopped) all.add(one);
    };
    if (faults) clock.setTimeout(add, faults.latencyMs("up"));
    else add();
    return {
      stop: () => {
        stopped = true;
        all.delete(one);
      },
    };
  }

  // ---------------------------------------------------------------- up

  /** An acknowledgement or the like: without an answer, so nobody learns that it was lost. */
  tell(what: string, apply: () => void): void {
    this.#tell(what, "ack", apply);
  }

  #tell(what: string, kind: "ack" | undefined, apply: () => void): void {
    if (!this.process.connected || !this.#effect(what)) return;
    this.wire.up(kind, apply);
  }

  /** @returns whether the process is alive to do it. */
  #effect(what: string): boolean {
    if (this.process.killed) return false;
    this.server.faults?.onEffect?.(this.process.name, what);
    return !this.process.killed;
  }

  #staleMs(fresh: boolean): number {
    return fresh ? 0 : (this.server.faults?.staleMs() ?? 0);
  }

  #ask<T>(what: string, apply: () => T): Promise<T> {
    const { process, server } = this;
    const unavailable = (why: string) => new LogUnavailableError(what, why);
    if (process.closed) return Promise.reject(unavailable("the log was closed"));
    if (!this.#effect(what)) return new Promise(() => {});
    if (!process.connected) {
      const refuse = (reject: (error: Error) => void) => () => reject(unavailable("there is no connection at present"));
      return new Promise((_, reject) => void process.clock.setTimeout(refuse(reject), REFUSED_MS));
    }
    const { faults } = server;
    if (!faults) return new Promise((resolve) => resolve(apply()));

    return new Promise((resolve, reject) => {
      const settle = (how: () => void) => {
        if (!this.#open.delete(fail)) return;
        process.clock.clearTimeout(timer);
        how();
      };
      const fail = (why: string) => settle(() => reject(unavailable(why)));
      this.#open.add(fail);
      const tooLate = () => process.whenRead(() => fail(`none within ${faults.timeoutMs} ms`));
      const timer = process.clock.setTimeout(tooLate, faults.timeoutMs);
      this.wire.up("request", () => {
        const outcome = attempt(apply);
        if (faults.loses("answer")) return;
        this.wire.down([], () => settle(() => ("error" in outcome ? reject(outcome.error) : resolve(outcome.value))));
      });
    });
  }
}

function attempt<T>(fn: () => T): { value: T } | { error: unknown } {
  try {
    return { value: fn() };
  } catch (error) {
    return { error };
  }
}
