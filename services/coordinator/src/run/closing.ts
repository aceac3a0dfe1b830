import {
  encodePayload,
  errorsIn,
  type Failure,
  InvalidOutputError,
  isInstance,
  tamed,
  toFailure,
  toWire,
  UnhandledRejectionError,
  WorkflowCancelledError,
} from "@stepstream/contracts";
import type { AnyStep } from "@stepstream/sdk";
import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";
import type { Ended, Life } from "./life.ts";
import { isCancelReason } from "./rejections.ts";
import type { Slot } from "./slot.ts";
import type { Wait } from "./waits.ts";

/**
 * The end of a life of a run, once its workflow function has ended:
 *
 *   settle       whatever is still open is cancelled and waited for
 *   compensate   on failure and cancel: last first, one at a time, each once
 *   close        exactly one terminal event; or the run goes on as new
 *
 * C1. No compensation is decided while a slot is open.
 * C2. A compensation that fails is reported, and the rest still run.
 *
 * Asserted as "closing C1" and "closing C2"; the order of compensations is compared by the simulation's model.
 */
export class Closing {
  readonly #run: RunExecution;
  readonly #life: Life;
  readonly #compensations: { step: AnyStep; inputText: string }[] = [];
  #outcome: "completed" | "failed" | "cancelled" | "continued" | undefined;
  /** JSON; empty for undefined. */
  #output = "";
  #failure: Failure | undefined;
  #waiting = false;
  #ended: Ended | undefined;

  constructor(run: RunExecution, life: Life) {
    this.#run = run;
    this.#life = life;
  }

  /** What was open when the function ended has been given up. */
  get begun(): boolean {
    return this.#outcome !== undefined;
  }

  get hasCompensations(): boolean {
    return this.#compensations.length > 0;
  }

  add(step: AnyStep, inputText: string): void {
    this.#compensations.push({ step, inputText });
  }

  /** As far as it goes in this turn. @returns whether more is to come of it, after the next macrotask. */
  advance(ended: Ended): boolean {
    const run = this.#run;
    this.#ended ??= ended;
    run.holds(this.#ended === ended, "life L1", "it ends in another way than it began to end");
    if (!this.#outcome) {
      const left = this.#life.root.slots.size > 0 || this.#life.waits.size > 0;
      this.#begin(ended);
      // The code of this run segment handles what was given up just now before anything else is decided.
      if (left) return true;
    }
    if (run.openSlots > 0 || this.#life.shields > 0 || this.#waiting || run.fault) return false;
    // Somebody has asked for its end while it settled.
    if (this.#outcome === "continued" && this.#life.timedOut) this.#fail(this.#life.timedOut);
    else if (this.#outcome === "continued" && this.#life.cancelRequest) this.#outcome = "cancelled";
    if (this.#outcome === "continued") {
      this.#life.refuseUpdates();
      run.goOn("next" in ended ? ended.next : "");
      return true;
    }
    const next = this.#outcome === "completed" ? undefined : this.#compensations.pop();
    if (next) {
      this.#compensate(next.step, next.inputText);
      return false;
    }
    this.#life.refuseUpdates();
    const all = this.#outcome === "completed" || this.#compensations.length === 0;
    run.holds(all && !this.#waiting, "closing C2", "it ends before all compensations have run");
    run.holds(run.openSlots === 0, "closing C1", "it ends while slots are open");
    if (this.#outcome === "completed") run.decide({ type: "RunCompleted" }, { key: "output", json: this.#output });
    else if (this.#outcome === "cancelled") run.decide({ type: "RunCancelled", reason: run.cancelRequest!.reason });
    else run.decide({ type: "RunFailed", error: this.#failure! });
    return false;
  }

  #begin(ended: Ended): void {
    const run = this.#run;
    const life = this.#life;
    const { rejections } = life;
    const stopped = "next" in ended ? life.cancelRequest !== undefined : !ended.ok && isCancellation(ended.error);
    if (stopped && life.timedOut) this.#fail(life.timedOut);
    else if (stopped && life.cancelRequest) this.#outcome = "cancelled";
    else if (("next" in ended || ended.ok) && rejections.count > 0) this.#failUnhandled(rejections.first);
    else if ("next" in ended) this.#outcome = "continued";
    else if (ended.ok) this.#checkOutput(ended.value);
    else this.#fail(ended.error);

    if (("next" in ended || ended.ok) && !stopped) run.forget(this.#open());
    const reason = () => life.cancelledError("the run is ending");
    life.root.mark(reason);
    // Also what is left of scopes that were cancelled before.
    if (life.root.slots.size > 0) run.cancelSlots(life.root.slots, reason());
    if (life.waits.size > 0) life.waits.cancel(life.root, reason());
    const more = run.openSlots > 0 || life.shields > 0 || (this.#outcome !== "completed" && this.hasCompensations);
    if (more) {
      const error = this.#failure && { error: this.#failure };
      run.decide({ type: "RunClosing", outcome: this.#outcome!, ...error });
    }
  }

  #failUnhandled(reason: unknown): void {
    const isOver = this.#life.ended !== undefined && this.#ended === this.#life.ended;
    this.#run.holds(isOver, "rejections J1", "a rejection counts before the workflow function has ended");
    this.#run.holds(!isCancelReason(reason), "rejections J2", "a rejection of the engine's own counts as unhandled");
    const cause = tamed(reason);
    this.#fail(new UnhandledRejectionError(this.#run.runId, cause, this.#life.rejections.count));
  }

  /** What the workflow asked for and nothing has awaited: work that is given up now. */
  #open(): (Slot | Wait)[] {
    const life = this.#life;
    const { root, waits } = life;
    const slots = [...root.slots].flatMap((number) => this.#run.slots.get(number) ?? []);
    return [
      ...slots.filter(
        ({ slot, state, scope, child }) =>
          (state === "open" || state === "waiting") &&
          child?.onParentClose !== "abandon" &&
          !life.isLimit(slot) &&
          !scope?.isOfUpdate,
      ),
      ...[...waits.open].filter(({ scope }) => scope?.isWithin(root) && !scope.isOfUpdate),
    ];
  }

  #checkOutput(value: unknown): void {
    const run = this.#run;
    const what = `workflow "${run.workflow.name}"`;
    const sent = toWire(run.workflow.output, value);
    if (!sent.ok) return this.#fail(new InvalidOutputError(what, sent.path, sent.message, run.where));
    try {
      this.#output = encodePayload(`the output of ${what}`, sent.value);
      this.#outcome = "completed";
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#outcome = "failed";
    this.#failure = toFailure(this.#run.failure(error));
  }

  #compensate(step: AnyStep, inputText: string): void {
    const run = this.#run;
    run.holds(run.openSlots === 0, "closing C1", `${step.name} was to compensate while slots are open`);
    this.#waiting = true;
    const slot = run.lastSlot + 1;
    const done = () => {
      this.#waiting = false;
    };
    frames.exit(() =>
      run.openStep(step, inputText, undefined, true).then(done, (error) => {
        done();
        // Outside of any promise chain of the workflow's: what is thrown here would end the process.
        run.contain(() => run.decide({ type: "CompensationFailed", slot, error: toFailure(error) }));
      }),
    );
  }
}

/** Does the error say that the run was cancelled, itself or somewhere among its causes? */
function isCancellation(error: unknown): boolean {
  return errorsIn(error).some((one) => isInstance(one, WorkflowCancelledError));
}
