import type { Clock } from "@stepstream/event-log";

/**
 * Who works on commands in this process, and who has it alone. One for all workers of a process.
 *
 * I1. While a suspect is alone, no other command is worked on, by any worker of the process.
 * I2. A suspect waits for the commands that are being worked on, and meanwhile none is begun. If they take longer than its
 *     patience, it is started in their company: it holds nothing up for ever.
 * I3. Suspects are alone one after the other, in the order in which they asked.
 *
 * Checked elsewhere:
 *   I1  isolation.test.ts: keeps all others out while one is alone
 *   I2  isolation.test.ts: starts one in company when its patience is over
 *   I3  isolation.test.ts: lets one after the other in
 */
export class Isolation {
  readonly #clock: Clock;
  /** Commands that are worked on; not those that wait to be alone. */
  #working = 0;
  readonly #waiting: ((isAlone: boolean) => void)[] = [];
  #isTaken = false;
  #isClosed = false;
  readonly #onOpen = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** May work on another command begin? */
  get open(): boolean {
    return !this.#isClosed;
  }

  /** Calls `fn` each time it is open again. @returns What ends that. */
  whenOpen(fn: () => void): () => void {
    this.#onOpen.add(fn);
    return () => void this.#onOpen.delete(fn);
  }

  /** Work on a command begins. */
  enter(): void {
    this.#working++;
  }

  /** Work on a command is over. */
  leave(): void {
    this.#working--;
    this.#next();
  }

  /**
   * Waits until the caller, who has entered, is the only one.
   *
   * @param stopping - Ends the wait.
   * @returns undefined if its patience was over first.
   * @throws The reason of `stopping`.
   */
  async alone(patienceMs: number, stopping: AbortSignal): Promise<Alone | undefined> {
    stopping.throwIfAborted();
    this.#working--;
    this.#isClosed = true;
    const isAlone = await new Promise<boolean>((resolve) => {
      const end = (granted: boolean) => {
        this.#clock.clearTimeout(timer);
        stopping.removeEventListener("abort", leave);
        this.#waiting.splice(this.#waiting.indexOf(end), 1);
        this.#working++;
        resolve(granted);
      };
      const leave = () => {
        end(false);
        this.#next();
      };
      const timer = this.#clock.setTimeout(leave, patienceMs);
      stopping.addEventListener("abort", leave);
      this.#waiting.push(end);
      this.#next();
    });
    if (isAlone) return new Alone(() => this.#release());
    stopping.throwIfAborted();
    return undefined;
  }

  #release(): void {
    this.#isTaken = false;
    this.#next();
  }

  #next(): void {
    if (!this.#isClosed || this.#isTaken) return;
    if (this.#waiting.length === 0) {
      this.#isClosed = false;
      for (const fn of [...this.#onOpen]) fn();
    } else if (this.#working === 0) {
      this.#isTaken = true;
      this.#waiting[0]!(true);
    }
  }
}

/** The process is one command's. */
export class Alone {
  #end: (() => void) | undefined;

  constructor(end: () => void) {
    this.#end = end;
  }

  /** Others may begin. Safe to call again. */
  end(): void {
    const end = this.#end;
    this.#end = undefined;
    end?.();
  }
}

/** By clock: a process has one, also where a test has several processes in one. */
const isolations = new WeakMap<Clock, Isolation>();

export function isolationOf(clock: Clock): Isolation {
  const known = isolations.get(clock);
  if (known) return known;
  const isolation = new Isolation(clock);
  isolations.set(clock, isolation);
  return isolation;
}
