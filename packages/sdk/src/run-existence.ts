import { RunNotFoundError } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import { readStart } from "./start-run.ts";

/**
 * Whether the run that a caller waits for is still stored. It is not after its deletion, nor where its stream was lost.
 *
 * G1. What is left behind, or comes late from a worker, is not a run.
 * G2. Once the run was seen, a look is one request, however long its history is.
 * G3. A stream that was made again counts from 1: a run whose first message is older than that of the run that was seen is
 *     another one.
 *
 * Checked elsewhere:
 *   G1  run-existence.test.ts: is not shown by what was left behind, or comes late (G1)
 *   G2  run-existence.test.ts: costs one request once it was seen (G2)
 *   G3  run-existence.test.ts: is not shown by another run of the same id in a stream that was made again (G3)
 */
export class RunExistence {
  readonly #log: EventLog;
  readonly #run: string;
  /** The stream sequence of its first message, once that was seen. */
  #first: number | undefined;
  /** When that was stored, in epoch milliseconds, once that was seen; not after this, of a run that this process has started. */
  #firstAt: number | undefined;
  readonly #startedBy: number;

  /** @param first - Of a run that this process has just started. */
  constructor(log: EventLog, run: string, first?: number) {
    this.#log = log;
    this.#run = run;
    this.#first = first;
    this.#startedBy = first === undefined ? 0 : log.serverNow();
  }

  /** It was seen, or started by this process. */
  get known(): boolean {
    return this.#first !== undefined;
  }

  /** @throws {RunNotFoundError} It is not stored, or not any more. */
  async check(): Promise<void> {
    const { subjects } = this.#log;
    if (this.#first !== undefined) {
      const oldest = await this.#log.oldest("EVENTS", subjects.inboxFrom("client", this.#run));
      if (oldest && this.#isFirst(oldest)) return;
      if (!oldest || oldest.seq < this.#first) throw this.#gone();
    }
    const start = await readStart(this.#log, this.#run, { fresh: true });
    if (!start || start.stray !== undefined) throw this.#gone();
    this.#first = start.stored.seq;
    this.#firstAt = start.stored.at;
  }

  /** Not by its number alone: a stream that was made again has the same numbers again. */
  #isFirst({ seq, at }: { seq: number; at: number }): boolean {
    if (seq !== this.#first) return false;
    if (this.#firstAt === undefined && at <= this.#startedBy) this.#firstAt = at;
    return at === this.#firstAt;
  }

  #gone(): RunNotFoundError {
    return new RunNotFoundError(this.#run, this.#log.subjects.namespace, this.known);
  }
}
