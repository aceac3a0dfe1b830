import type { Appended, AppendOptions, ReadOptions, Stored, Subscription } from "@stepstream/event-log";
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
 * The log as the test's client sees it. Who waits for the end of a run that can have none is told why: the next look
 * at its journal fails. (`fresh` looks are for histories and statuses, which are what they are.)
 */
export class ClientLog extends WatchedLog {
  readonly #trouble: (run: string) => Error | undefined;

  /** @param trouble - Why a run's end cannot be waited for, if so. */
  constructor(server: MemoryServer, onAppend: OnAppend, trouble: (run: string) => Error | undefined) {
    super(server, "client", onAppend);
    this.#trouble = trouble;
  }

  override async read(subject: string, options: ReadOptions = {}): Promise<Stored[]> {
    const stored = await super.read(subject, options);
    this.#check(subject, options);
    return stored;
  }

  override async last(subject: string, options: ReadOptions = {}): Promise<Stored | undefined> {
    const stored = await super.last(subject, options);
    this.#check(subject, options);
    return stored;
  }

  override followJournal(run: string, fn: (stored: Stored) => void): Subscription {
    return super.followJournal(run, (stored) => {
      if (!this.#trouble(run)) fn(stored);
    });
  }

  #check(subject: string, { fresh }: ReadOptions): void {
    const parts = this.subjects.parse(subject);
    const trouble = parts?.kind === "journal" && !fresh ? this.#trouble(parts.run) : undefined;
    if (trouble) throw trouble;
  }
}
