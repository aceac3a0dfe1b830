import type { ParentClosePolicy } from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow, RunOptions } from "@stepstream/sdk";
import type { Scope } from "./scope.ts";

/**
 * A slot: the n-th piece of work that a run asked for.
 *
 * R1. A slot has one outcome; what comes later changes nothing. (Asserted where it settles: execution.ts.)
 */
export interface Slot {
  readonly slot: number;
  readonly kind: "step" | "timer" | "child";
  /**
   * open        work goes on (a command is out, a timer runs, a child lives)
   * waiting     a step's next attempt waits for a durable timer
   * cancelling  workers or the child are asked to give it up; still without an outcome
   * done
   */
  state: "open" | "waiting" | "cancelling" | "done";
  /** When it was asked for, by the time of the history. */
  readonly scheduledAt: number;
  /** The inbox sequence that caused it: its outcome can only come after. */
  readonly after: number;
  /** The inbox sequence that brought it into its present state. */
  cause: number;
  /** Step: the next attempt's number, failed ones on record not counted. */
  attempt: number;
  /** Messages that said it had fired before its time. */
  early: number;
  /** Timer: when it fires. Waiting step: when its next attempt may start. */
  fireAt: number | undefined;
  /** Why it is being cancelled. */
  cancelled: Error | undefined;
  readonly step: StepSlot | undefined;
  readonly child: ChildSlot | undefined;
  /** A timer that the workflow did not ask for. */
  readonly purpose: TimerPurpose | undefined;
  readonly scope: Scope | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

export type TimerPurpose = "delay" | "timeout" | "cleanup";

export interface StepSlot {
  readonly definition: AnyStep;
  readonly options: RunOptions | undefined;
  /** JSON, taken when the step was asked for, so that nobody can change it afterwards. */
  readonly inputText: string;
  readonly compensation: boolean;
}

export interface ChildSlot {
  readonly definition: AnyWorkflow;
  /** The child's id. */
  readonly run: string;
  /** JSON, as above. */
  readonly inputText: string;
  readonly onParentClose: ParentClosePolicy;
  readonly delayMs: number | undefined;
  readonly timeoutMs: number | undefined;
  /** Absent: it is in the trace of this run. */
  readonly trace: "linked" | undefined;
}
