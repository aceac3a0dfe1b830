import {
  InvariantError,
  MAX_MESSAGE_BYTES,
  MessageTooLargeError,
  type Segment,
  thorough,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import type { Decided } from "../run/execution.ts";
import { readDecision } from "./decisions.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

export type Written = "written" | "before" | "moved";

/**
 * Writes what a run decided, behind the fence that makes one coordinator its writer.
 *
 * J1. One message holds all events of a decision: all are stored, or none.
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

  /** @param by - The mailbox that writes: nobody else's decision is ever taken for its own. */
  constructor(deps: Deps, run: string, by: string, lastSeq: number, segment: Segment | undefined) {
    this.#deps = deps;
    this.#run = run;
    this.#by = by;
    this.lastSeq = lastSeq;
    this.#segment = segment;
  }

  /**
   * @returns "moved" if another has written: nothing was written, read again. "before" if it was written by an earlier
   * try: read again as well.
   */
  async append(decided: readonly Decided[], upTo: number, wanted: () => boolean): Promise<Written> {
    const { log } = this.#deps;
    if (upTo <= this.upTo) this.#violated("journal J3", `message ${upTo} was decided on before`);
    const subject = log.subjects.journal(this.#run);
    const length = decided.reduce((sum, { text }) => sum + text.length, 0);
    if (length > MAX_MESSAGE_BYTES) throw new MessageTooLargeError(`a decision of run ${this.#run}`, length);
    const events = decided.map((d) => d.text).join(",");
    const continued = decided.findLast((d) => d.event.type === "RunContinued")?.event;
    if (continued?.type === "RunContinued") this.#segment = { journalAfter: this.lastSeq, inboxAfter: continued.after };
    const segment = this.#segment ? `"segment":${JSON.stringify(this.#segment)},` : "";
    const text = `{"v":1,"type":"Decision",${segment}"upTo":${upTo},"by":${JSON.stringify(this.#by)},"events":[${events}]}`;
    if (thorough && readDecision({ subject, seq: 0, at: 0, text })?.events.length !== decided.length)
      this.#violated("journal J1", `${decided.length} events were decided, and it has others: ${text}`);
    const write = async (): Promise<Written> => {
      try {
        const { seq } = await log.append(subject, text, { expectLast: this.lastSeq });
        if (seq <= this.lastSeq) this.#violated("journal J2", `it is stored as ${seq}, on top of ${this.lastSeq}`);
        this.lastSeq = seq;
        this.upTo = upTo;
        return "written";
      } catch (error) {
        if (!(error instanceof WrongLastSequenceError)) throw error;
        const last = await log.last(subject, { fresh: true });
        const decision = last && readDecision(last);
        if (decision?.by !== this.#by || decision.upTo !== upTo) return "moved";
        this.lastSeq = last!.seq;
        return "before";
      }
    };
    return (await retrying(this.#deps, "write a journal", write, wanted, this.#run)) ?? "moved";
  }

  #violated(promise: string, what: string): never {
    throw new InvariantError(promise, what, { run: this.#run });
  }
}
