import type { Appended, AppendOptions, Stored, Subscription } from "@stepstream/event-log";
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
 * The log as the test's client sees it. All that the client waits for, it waits for by a run's journal: so whoever waits
 * for what cannot come is told there, by a message whose text throws why.
 */
export class ClientLog extends WatchedLog {
  readonly #trouble: () => Error | undefined;
  readonly #waiting = new Set<{ fn: (stored: Stored) => void; subject: string }>();

  /** @param trouble - Why nothing can be waited for, if so. */
  constructor(server: MemoryServer, onAppend: OnAppend, trouble: () => Error | undefined) {
    super(server, "client", onAppend);
    this.#trouble = trouble;
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
