import type { Decided, RunExecution } from "../run/execution.ts";
import { finishTurn } from "../run/turn.ts";
import type { Boundary } from "./boundary.ts";

/**
 * The turns of one coordinator's runs. Several share a macrotask, unless it must be known whose code runs: then each has
 * its own.
 */
export class Turns {
  readonly #boundary: Boundary;
  readonly #isApart: () => boolean;
  #last: Promise<unknown> = Promise.resolve();

  /** @param isApart - Must the next turn have a macrotask of its own? */
  constructor(boundary: Boundary, isApart: () => boolean = () => false) {
    this.#boundary = boundary;
    this.#isApart = isApart;
  }

  /** A whole turn. @param begin - Folds a message, or resumes the run. @returns What was decided. */
  of(execution: RunExecution, begin: () => void): Promise<Decided[]> {
    if (this.#isApart()) return this.#apart(execution, begin);
    begin();
    return finishTurn(execution, this.#boundary);
  }

  #apart(execution: RunExecution, begin: () => void): Promise<Decided[]> {
    const turn = this.#last.then(() => {
      begin();
      return finishTurn(execution, this.#boundary);
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}
