import type { AnyStep, RunOptions } from "@stepstream/sdk";

/**
 * A slot: the n-th piece of work that a run asked for.
 *
 * R1. A slot has one outcome; what comes later changes nothing.
 */
export interface Slot {
  readonly slot: number;
  readonly kind: "step" | "timer";
  /**
   * open        work goes on (a command is out, a timer runs)
   * waiting     a step's next attempt waits for a durable timer
   * cancelling  workers are asked to give it up; still without an outcome
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
  /** Timer: when it fires. Waiting step: when its next attempt may start. */
  fireAt: number | undefined;
  readonly step: StepSlot | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

export interface StepSlot {
  readonly definition: AnyStep;
  readonly options: RunOptions | undefined;
  /** JSON, taken when the step was asked for, so that nobody can change it afterwards. */
  readonly inputText: string;
  readonly compensation: boolean;
}
