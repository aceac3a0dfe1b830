import type { AttemptRecord } from "@stepstream/contracts";
import { encode, InvariantError, MessageTooLargeError, WrongLastSequenceError } from "@stepstream/contracts";
import { isTransient } from "@stepstream/event-log";
import { withError } from "../attempt/fitting.ts";
import type { Standing } from "../attempt/standing.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/**
 * The records of one slot's attempts, as one delivery of its command writes them.
 *
 * A1. Every record is fenced by the one before. Whoever finds the fence moved has lost the slot to another
 *     worker and writes no more: of two that tried the same attempt, one counts.
 * A2. Records are written one after the other. One whose acknowledgement was lost is recognised by its text,
 *     and is not taken for another worker's.
 * A3. Each record says which deliveries are accounted for, and how often the command was started alone and left no record:
 *     the last record is all that the next worker has to read.
 *
 * A1 and A2 are asserted round each record that is written ("attempt-log A1", "attempt-log A2").
 *
 * Checked elsewhere:
 *   A3  ../../test/suspects.test.ts: is given up after three starts alone, and not before
 */
export class AttemptLog {
  readonly #deps: Deps;
  readonly #run: string;
  readonly #slot: number;
  readonly #delivery: number;
  readonly #before: Pick<Standing, "explained" | "alone">;
  /** Its deliveries so far are accounted for, and so is this one. */
  #isExplained = false;
  #isAlone = false;
  #lastSeq: number;
  #writing = false;
  #tail: Promise<unknown> | undefined;
  lost = false;

  constructor(deps: Deps, run: string, slot: number, delivery: number, at: Standing) {
    this.#deps = deps;
    this.#run = run;
    this.#slot = slot;
    this.#delivery = delivery;
    this.#before = at;
    this.#lastSeq = at.lastSeq;
  }

  /** From the next record on: the attempt is the only one in its process, or it no longer is. */
  set alone(isAlone: boolean) {
    this.#isAlone = isAlone;
  }

  /** The sequence of the slot's last record, as far as this delivery knows; 0 for none. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** @returns false if another worker has the slot; then nothing was written. */
  append(record: AttemptRecord): Promise<boolean> {
    const text = textOf(this.#stamped(record));
    const written = this.#tail ? this.#tail.then(() => this.#append(text, record)) : this.#append(text, record);
    this.#tail = written.catch(() => {});
    return written;
  }

  async #append(text: string, record: AttemptRecord): Promise<boolean> {
    if (this.lost) return false;
    if (this.#writing)
      this.#violated("attempt-log A2", record, "a record is written before the one before it is stored");
    this.#writing = true;
    const { log } = this.#deps;
    const before = this.#lastSeq;
    const subject = log.subjects.attempts(this.#run, this.#slot);
    let unsure = false;
    try {
      const write = async () => {
        try {
          return (await log.append(subject, text, { expectLast: this.#lastSeq })).seq;
        } catch (error) {
          if (isTransient(error)) unsure = true;
          if (!(unsure && error instanceof WrongLastSequenceError)) throw error;
          const last = await log.last(subject, { fresh: true });
          if (last?.text !== text) throw error;
          return last.seq;
        }
      };
      this.#lastSeq = await retrying(this.#deps, "record an attempt", write, this.#run);
      if (this.#lastSeq <= before) this.#violated("attempt-log A1", record, "it is not on top of the record before it");
      return true;
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
      this.lost = true;
      return false;
    } finally {
      this.#writing = false;
    }
  }

  #stamped(record: AttemptRecord): AttemptRecord {
    const isHeartbeat = record.type === "AttemptHeartbeat";
    if (!isHeartbeat || record.handedBack || record.stopping) {
      this.#isExplained = true;
      this.#isAlone = false;
    }
    const explained = this.#isExplained ? this.#delivery : this.#before.explained;
    const alone = this.#before.alone + (this.#isAlone ? 1 : 0);
    return { ...record, ...(explained > 0 && { explained }), ...(isHeartbeat && alone > 0 && { alone }) };
  }

  #violated(promise: string, { step, attempt }: AttemptRecord, what: string): never {
    throw new InvariantError(promise, what, { run: this.#run, step, slot: this.#slot, attempt });
  }
}

/** Details that are too large to be kept are dropped: without the record the attempt would not count. */
function textOf(record: AttemptRecord): string {
  const what = `a record of an attempt at step "${record.step}"`;
  try {
    return encode(what, record);
  } catch (error) {
    if (!(error instanceof MessageTooLargeError)) throw error;
    const { details: _tooLarge, ...rest } = record;
    if (rest.type !== "AttemptFailed") return encode(what, rest);
    return withError(what, rest.error, (failure) => ({ ...rest, error: failure }));
  }
}
