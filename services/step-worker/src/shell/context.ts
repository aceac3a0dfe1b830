import type { AnyStep, StepErrors } from "@stepstream/sdk";

/** What a handler knows about its attempt. */
export interface StepContext<S extends AnyStep = AnyStep> {
  readonly run: string;
  readonly workflow: string;
  readonly step: string;
  readonly slot: number;
  /** 1 for the first try. Exact: failed attempts before this one, plus one. */
  readonly attempt: number;
  /** `<run>/<slot>`: the same for every attempt at this piece of work. */
  readonly idempotencyKey: string;
  /** Aborts on cancel and time-out; its reason says which. Clean up, then throw or return. */
  readonly signal: AbortSignal;
  /** When the whole step is over, in epoch milliseconds. */
  readonly deadlineAt: number | undefined;
  /** What the attempt before this one, or one that crashed, last reported. */
  readonly heartbeatDetails: unknown;
  /** "Still at it." Details are kept for the next attempt, at most once every half heartbeat. */
  heartbeat(details?: unknown): void;
  /** Ends the step with one of its declared errors: typed, final. */
  fail<C extends keyof StepErrors<S> & string>(code: C, data: StepErrors<S>[C], message?: string): never;
}
