import { checkValue, DeclaredError, StepError } from "@stepstream/contracts";
import type { AnyStep, StepErrors } from "./step.ts";

/** A step's failure with one of the errors that it declares: `cause.data` has the type of that error. */
export type DeclaredStepError<S, K extends keyof StepErrors<S>> = StepError & {
  readonly cause: DeclaredError & { readonly code: K; readonly data: StepErrors<S>[K] };
};

/**
 * Tells whether an error is the failure of that step; with a code, whether it failed with that declared error, whose data
 * then has its type.
 *
 * @param code - One of the codes in the step's `errors`. Data that does not fit its schema is not that error.
 * @example if (isStepError(error, charge, "CardDeclined")) return { declined: error.cause.data.reason };
 */
export function isStepError(error: unknown, step: AnyStep): error is StepError;
export function isStepError<S extends AnyStep, K extends keyof StepErrors<S> & string>(
  error: unknown,
  step: S,
  code: K,
): error is DeclaredStepError<S, K>;
export function isStepError(error: unknown, step: AnyStep, code?: string): boolean {
  if (!(error instanceof StepError) || error.step !== step.name) return false;
  if (code === undefined) return true;
  const { cause } = error;
  return (
    cause instanceof DeclaredError &&
    cause.code === code &&
    Object.hasOwn(step.errors, code) &&
    checkValue(step.errors[code], cause.data).ok
  );
}
