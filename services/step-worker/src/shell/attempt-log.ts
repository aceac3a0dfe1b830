import type { AttemptRecord } from "@stepstream/contracts";
import { encode, MessageTooLargeError, WrongLastSequenceError } from "@stepstream/contracts";
import { withError } from "../attempt/fitting.ts";
import type { Deps } from "./deps.ts";
import { isTrouble, retrying } from "./retrying.ts";

/**
 * The records of one slot's attempts, as one delivery of its command writes them.
 *
 * A1. Every record is fenced by the one before. Whoever finds the fence moved has lost the slot to another
 *     worker and writes no more: of two that tried the same attempt, one counts.
 * A2. Records are written one after the other. One whose acknowledgement was lost is recognised by its text,
 *     and is not taken for another worker's.
 */
export class AttemptLog {
  readonly #deps: Deps;
  readonly #run: string;
  readonly #slot: number;
  #lastSeq: number;
  #tail: Promise<unknown> | undefined;
  lost = false;

  constructor(deps: Deps, run: string, slot: number, lastSeq: number) {
    this.#deps = deps;
    this.#run = run;
    this.#slot = slot;
    this.#lastSeq = lastSeq;
  }

  /** @returns false if another worker has the slot; then nothing was written. */
  append(record: AttemptRecord): Promise<boolean> {
    const text = textOf(record);
    const written = this.#tail ? this.#tail.then(() => this.#append(text)) : this.#append(text);
    this.#tail = written.catch(() => {});
    return written;
  }

  async #append(text: string): Promise<boolean> {
    if (this.lost) return false;
    const { log } = this.#deps;
    const subject = log.subjects.attempts(this.#run, this.#slot);
    let unsure = false;
    try {
      this.#lastSeq = await retrying(this.#deps, `append to ${subject}`, async () => {
        try {
          return (await log.append(subject, text, { expectLast: this.#lastSeq })).seq;
        } catch (error) {
          if (isTrouble(error)) unsure = true;
          if (!(unsure && error instanceof WrongLastSequenceError)) throw error;
          const last = await log.last(subject, { fresh: true });
          if (last?.text !== text) throw error;
          return last.seq;
        }
      });
      return true;
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
      this.lost = true;
      return false;
    }
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
