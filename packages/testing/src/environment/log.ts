import { setImmediate } from "node:timers";
import type { StreamKind } from "@stepstream/contracts";
import type { Appended, AppendOptions, Clock, ReadOptions, Stored, Subscription } from "@stepstream/event-log";
import { MemoryLog, type MemoryServer } from "@stepstream/event-log/memory";

/** Is asked before and after a message is sent. May kill the process. */
export type OnAppend = (moment: "before" | "after", process: string, text: string) => void;

/** The log as a process of the test sees it: somebody looks at what it sends. */
export class WatchedLog extends MemoryLog {
  readonly #onAppend: OnAppend;

  constructor(server: MemoryServer, name: string, onAppend: OnAppend) {
    super(server, name);
    this.#onAppend = onAppend;
  }

  override append(subject: string, text: string, options?: AppendOptions): Promise<Appended> {
    const { name } = this.process;
    this.#onAppend("before", name, text);
    const appended = super.append(subject, text, options);
    // It is sent; that it is stored the process may not live to see.
    this.#onAppend("after", name, text);
    return appended;
  }
}

/**
 * The log as the test's client sees it. While time can go on, all that the client waits for without end it waits for by a
 * run's journal: so a wait for what cannot come is ended there, by a message whose text throws why.
 *
 * Once time cannot go on any more (workflow code was stopped), no answer comes and no timer fires: then everything that
 * the client waits for, or asks for later, fails with the reason at once.
 */
export class ClientLog extends WatchedLog {
  readonly #trouble: () => Error | undefined;
  readonly #waiting = new Set<{ fn: (stored: Stored) => void; subject: string }>();
  readonly #timers = new Set<{ fn: () => void }>();
  /** Of those who wait for an answer: what fails them. */
  readonly #asking = new Set<(error: Error) => void>();
  #over: Error | undefined;
  readonly #clock: Clock;

  /** @param trouble - Why nothing can be waited for, if so. */
  constructor(server: MemoryServer, onAppend: OnAppend, trouble: () => Error | undefined) {
    super(server, "client", onAppend);
    this.#trouble = trouble;
    const { clock } = this.process;
    this.#clock = {
      now: () => clock.now(),
      random: () => clock.random(),
      setTimeout: (fn, ms) => this.#setTimer(clock, fn, ms),
      clearTimeout: (handle) => {
        if (!handle) return;
        const timer = handle as { fn: () => void; handle: unknown };
        this.#timers.delete(timer);
        clock.clearTimeout(timer.handle);
      },
    };
  }

  override get clock(): Clock {
    return this.#clock;
  }

  override followJournal(run: string, fn: (stored: Stored) => void): Subscription {
    const waiting = { fn, subject: this.subjects.journal(run) };
    const live = super.followJournal(run, fn);
    this.#waiting.add(waiting);
    queueMicrotask(() => {
      const error = this.#trouble();
      if (error && this.#waiting.has(waiting)) fn(unreadable(waiting.subject, error));
    });
    return {
      stop: () => {
        this.#waiting.delete(waiting);
        live.stop();
      },
    };
  }

  /** Ends all waits with this error. */
  fail(error: Error): void {
    for (const { fn, subject } of [...this.#waiting]) fn(unreadable(subject, error));
  }

  /** Time does not go on any more, for this reason. */
  end(error: Error): void {
    this.#over = error;
    this.fail(error);
    for (const fail of [...this.#asking]) fail(error);
    // What waits for time asks for something next, and learns it there.
    for (const timer of [...this.#timers]) this.#fireSoon(timer);
  }

  #setTimer(clock: Clock, fn: () => void, ms: number): unknown {
    const timer = { fn, handle: undefined as unknown };
    this.#timers.add(timer);
    if (this.#over) this.#fireSoon(timer);
    else
      timer.handle = clock.setTimeout(() => {
        this.#timers.delete(timer);
        fn();
      }, ms);
    return timer;
  }

  #fireSoon(timer: { fn: () => void }): void {
    setImmediate(() => {
      if (this.#timers.delete(timer)) timer.fn();
    });
  }

  #orOver<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#over);
      this.#asking.add(reject);
      answer.then(resolve, reject).finally(() => this.#asking.delete(reject));
    });
  }

  override append(subject: string, text: string, options?: AppendOptions): Promise<Appended> {
    return this.#orOver(super.append(subject, text, options));
  }
  override read(subject: string, options?: ReadOptions): Promise<Stored[]> {
    return this.#orOver(super.read(subject, options));
  }
  override last(subject: string, options?: ReadOptions): Promise<Stored | undefined> {
    return this.#orOver(super.last(subject, options));
  }
  override list(stream: StreamKind, filter: string): Promise<Map<string, number>> {
    return this.#orOver(super.list(stream, filter));
  }
  override oldest(stream: StreamKind, filter: string, fromSeq?: number): Promise<Stored | undefined> {
    return this.#orOver(super.oldest(stream, filter, fromSeq));
  }
  override remove(subject: string, options?: { keep?: number; upTo?: number }): Promise<number> {
    return this.#orOver(super.remove(subject, options));
  }
  override ask(subject: string, text: string, timeoutMs: number): Promise<string | undefined> {
    return this.#orOver(super.ask(subject, text, timeoutMs));
  }
}

function unreadable(subject: string, error: Error): Stored {
  return {
    subject,
    seq: Number.MAX_SAFE_INTEGER,
    at: 0,
    get text(): string {
      throw error;
    },
  };
}
