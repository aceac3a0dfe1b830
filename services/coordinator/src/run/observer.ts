/**
 * Somebody who looks over a run's shoulder: a debugger. It is told while the code that asks is still on the stack.
 * In production there is none.
 */
export interface Observer {
  /** Workflow code has asked for something: a slot, or a wait. */
  asked(what: object): void;
  /** The run can go on no further; what the code asked for last is why. */
  faulted(): void;
}
