import {
  InvariantError,
  MAX_MESSAGE_BYTES,
  type Segment,
  thorough,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import type { Appended } from "@stepstream/event-log";
import type { Decided } from "../run/execution.ts";
import { tooMuch } from "../run/recorder.ts";
import { readDecision } from "./decisions.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** Characters of what several messages led to that are written as one decision. */
const LENGTH_TOGETHER = 64 * 1024 * 1024;

export type Written = "written" | "before" | "moved";

/**
 * Writes what a run decided, behind the fence that makes one coordinator its writer.
 *
 * J1. One message holds all events that an inbox message led to: all are stored, or none.
 * J2. It is stored only on top of the journal that the decision was made from.
 * J3. A lost acknowledgement shows as a wrong sequence when it is tried again: whoever wrote, and up to
 *     which message, tells it from a rival's decision (`upTo` grows with every decision). Another may have taken the
 *     run over since, and done what was decided: what follows is as after a takeover ("before").
 *
 * Asserted round each decision that is written ("journal J1" …); J1 where checks are thorough.
 */
export class Journal {
  readonly #deps: Deps;
  readonly #run: string;
  readonly #by: string;
  /** The stream sequence of the run's last journal message; 0 for none. */
  lastSeq: number;
  /** The last inbox message that this mailbox has decided on; 0 for none. */
  upTo = 0;
  /** Where the run last went on as new. Every decision says so, so that nobody has to read what was before. */
  #segment: Segment | undefined;
  /** What is to be written, by the message that led to it. */
  #turns: Turn[] = [];

  /** @param by - The mailbox that writes: nobody else's decision is ever taken for its own. Nothing that JSON escapes. */
  constructor(deps: Deps, run: string, by: string, lastSeq: number, segment: Segment | undefined) {
    this.#deps = deps;
    this.#run = run;
    this.#by = by;
    this.lastSeq = lastSeq;
    this.#segment = segment;
  }

  /** Message `seq` has led to these. What several messages led to is written as one decision only where that fits. */
  turnEnded(decided: readonly Decided[], seq: number): void {
    this.#turns.push({ decided, seq });
  }

  /**
   * @returns "moved" if another has written: nothing was written, read again. "before" if it was written by an earlier
   * try: read again as well.
   * @throws {MessageTooLargeError} What one message led to fits no decision.
   */
  append(decided: readonly Decided[], upTo: number, wanted: () => boolean): Promise<Written> {
    const turns = this.#turns;
    this.#turns = [];
    if (turns.length < 2 || lengthOf(decided) <= LENGTH_TOGETHER) return this.#append(decided, upTo, wanted);
    return this.#appendInParts(turns, upTo, wanted);
  }

  async #appendInParts(turns: Turn[], upTo: number, wanted: () => boolean): Promise<Written> {
    for (let from = 0; from < turns.length; ) {
      let to = from + 1;
      let length = lengthOf(turns[from]!.decided);
      for (; to < turns.length; to++) {
        length += lengthOf(turns[to]!.decided);
        if (length > LENGTH_TOGETHER) break;
      }
      const part = turns.slice(from, to);
      const events = part.flatMap((turn) => turn.decided);
      const written = await this.#append(events, to === turns.length ? upTo : part.at(-1)!.seq, wanted);
      if (written !== "written") return written;
      from = to;
    }
    return "written";
  }

  #append(decided: readonly Decided[], upTo: number, wanted: () => boolean): Promise<Written> {
    const { log } = this.#deps;
    if (upTo <= this.upTo) this.#violated("journal J3", `message ${upTo} was decided on before`);
    const subject = log.subjects.journal(this.#run);
    const length = lengthOf(decided);
    if (length > MAX_MESSAGE_BYTES) return Promise.reject(tooMuch(this.#run, length));
    let events = "";
    for (const { text } of decided) events += events === "" ? text : `,${text}`;
    for (const { event } of decided)
      if (event.type === "RunContinued") this.#segment = { journalAfter: this.lastSeq, inboxAfter: event.after };
    const segment = this.#segment ? `"segment":${JSON.stringify(this.#segment)},` : "";
    const text = `{"v":1,"type":"Decision",${segment}"upTo":${upTo},"by":"${this.#by}","events":[${events}]}`;
    if (thorough && readDecision({ subject, seq: 0, at: 0, text })?.events.length !== decided.length)
      this.#violated("journal J1", `${decided.length} events were decided, and it has others: ${text}`);
    const stored = ({ seq }: Appended): Written => {
      if (seq <= this.lastSeq) this.#violated("journal J2", `it is stored as ${seq}, on top of ${this.lastSeq}`);
      this.lastSeq = seq;
      this.upTo = upTo;
      return "written";
    };
    const write = () =>
      log
        .append(subject, text, { expectLast: this.lastSeq })
        .then(stored, (error) => this.#whoseInstead(error, subject, upTo));
    return retrying(this.#deps, "write a journal", write, wanted, this.#run, "moved");
  }

  /** Something else is the last: an earlier try of this, or what another decided? */
  async #whoseInstead(error: unknown, subject: string, upTo: number): Promise<Written> {
    if (!(error instanceof WrongLastSequenceError)) throw error;
    const last = await this.#deps.log.last(subject, { fresh: true });
    const decision = last && readDecision(last);
    if (decision?.by !== this.#by || decision.upTo !== upTo) return "moved";
    this.lastSeq = last!.seq;
    return "before";
  }

  #violated(promise: string, what: string): never {
    throw new InvariantError(promise, what, { run: this.#run });
  }
}

/** What one inbox message led to. */
interface Turn {
  readonly decided: readonly Decided[];
  readonly seq: number;
}

function lengthOf(decided: readonly Decided[]): number {
  let length = 0;
  for (const { text } of decided) length += text.length;
  return length;
}
