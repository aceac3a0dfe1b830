import { type Failure, InvalidOutputError, pathOf, toFailure, WorkflowCancelledError } from "@stepstream/contracts";
import type { AnyStep } from "@stepstream/sdk";
import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";

type Ended = { ok: true; value: unknown } | { ok: false; error: unknown };

/**
 * The end of a run, once its workflow function has ended:
 *
 *   settle       whatever is still open is cancelled and waited for
 *   compensate   on failure and cancel: last first, one at a time, each once
 *   close        exactly one terminal event
 *
 * C1. No compensation is decided while a slot is open.
 * C2. A compensation that fails is reported, and the rest still run.
 */
export class Closing {
  readonly #run: RunExecution;
  readonly #compensations: { step: AnyStep; input: unknown }[] = [];
  #outcome: "completed" | "failed" | "cancelled" | undefined;
  #output: unknown;
  #failure: Failure | undefined;
  #waiting = false;

  constructor(run: RunExecution) {
    this.#run = run;
  }

  add(step: AnyStep, input: unknown): void {
    this.#compensations.push({ step, input });
  }

  /** As far as it goes in this turn. */
  advance(ended: Ended): void {
    const run = this.#run;
    if (!this.#outcome) this.#begin(ended);
    if (run.openSlots > 0 || this.#waiting || run.fault) return;
    const next = this.#outcome === "completed" ? undefined : this.#compensations.pop();
    if (next) return this.#compensate(next.step, next.input);
    if (this.#outcome === "completed") run.decide({ type: "RunCompleted", output: this.#output });
    else if (this.#outcome === "cancelled") run.decide({ type: "RunCancelled", reason: run.cancelRequest!.reason });
    else run.decide({ type: "RunFailed", error: this.#failure! });
  }

  #begin(ended: Ended): void {
    const run = this.#run;
    if (ended.ok) this.#checkOutput(ended.value);
    else if (run.cancelRequest && isCancellation(ended.error)) this.#outcome = "cancelled";
    else this.#fail(ended.error);

    run.cancelSlots(run.slots.keys(), "the run is ending");
    const more = run.openSlots > 0 || (this.#outcome !== "completed" && this.#compensations.length > 0);
    if (more) {
      const error = this.#failure && { error: this.#failure };
      run.decide({ type: "RunClosing", outcome: this.#outcome!, ...error });
    }
  }

  #checkOutput(value: unknown): void {
    const run = this.#run;
    const what = `workflow "${run.workflow.name}"`;
    const read = run.workflow.output.safeParse(value);
    if (!read.success) {
      const issue = read.error.issues[0];
      return this.#fail(new InvalidOutputError(what, pathOf(issue.path), issue.message, { run: run.runId }));
    }
    try {
      JSON.stringify(value);
    } catch (error) {
      return this.#fail(
        new InvalidOutputError(what, "", `it is no JSON (${(error as Error).message})`, { run: run.runId }),
      );
    }
    this.#outcome = "completed";
    this.#output = value;
  }

  #fail(error: unknown): void {
    this.#outcome = "failed";
    this.#failure = toFailure(this.#run.failure(error));
  }

  #compensate(step: AnyStep, input: unknown): void {
    const run = this.#run;
    this.#waiting = true;
    const done = () => {
      this.#waiting = false;
    };
    frames.exit(() =>
      run.runStep(step, input, undefined, true).then(done, (error) => {
        done();
        const slot = [...run.slots.values()].findLast((s) => s.step?.compensation)!;
        run.decide({ type: "CompensationFailed", slot: slot.slot, error: toFailure(error) });
      }),
    );
  }
}

/** Does the error say that the run was cancelled, itself or somewhere among its causes? */
function isCancellation(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) if (e instanceof WorkflowCancelledError) return true;
  return error instanceof AggregateError && error.errors.some(isCancellation);
}
