import { NonDeterminismError, type RunEvent, type StalledError } from "@stepstream/contracts";
import { sameDecision } from "./same-decision.ts";

/** An event, and its JSON as it goes into the journal: taken when it was decided, so nobody changes it after. */
export interface Decided {
  readonly event: RunEvent;
  readonly text: string;
}

/**
 * What a run has decided: first once more what its journal holds, then what is new.
 *
 * R5. What was decided before is decided again, or the run has a `fault` and decides nothing more.
 */
export class Recorder {
  /** Why the run cannot go on here: it is to be parked. Nothing that was decided since is to be written. */
  fault: NonDeterminismError | StalledError | undefined;
  /** How much was decided, what was decided before included. */
  count = 0;
  readonly #run: string;
  readonly #recorded: readonly RunEvent[];
  #fresh: Decided[] = [];

  constructor(run: string, recorded: readonly RunEvent[]) {
    this.#run = run;
    this.#recorded = recorded;
  }

  /** What the journal has at this place. */
  get next(): RunEvent | undefined {
    return this.#recorded[this.count];
  }

  /** What the journal has of one type, from this place on, up to where the run went on as new. */
  ahead<T extends RunEvent["type"]>(type: T): Extract<RunEvent, { type: T }>[] {
    const found: Extract<RunEvent, { type: T }>[] = [];
    for (let i = this.count; i < this.#recorded.length; i++) {
      const event = this.#recorded[i]!;
      if (event.type === "RunContinued") break;
      if (event.type === type) found.push(event as Extract<RunEvent, { type: T }>);
    }
    return found;
  }

  decide(event: RunEvent, text: string): void {
    if (this.fault) return;
    const recorded = this.next;
    if (recorded && !sameDecision(recorded, text)) {
      this.fault = new NonDeterminismError(this.#run, this.count + 1, recorded, JSON.parse(text));
      return;
    }
    this.count++;
    if (!recorded) this.#fresh.push({ event, text });
  }

  /** What is new since this was last asked. */
  take(): Decided[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return this.fault ? [] : fresh;
  }

  /** After a replay: is all that was recorded decided again, and nothing besides? Sets `fault` if not. */
  checkReplayed(extra: readonly Decided[]): void {
    if (this.fault) return;
    if (this.next) this.fault = new NonDeterminismError(this.#run, this.count + 1, this.next, undefined);
    else if (extra.length > 0)
      this.fault = new NonDeterminismError(this.#run, this.#recorded.length + 1, undefined, extra[0]!.event);
  }
}
