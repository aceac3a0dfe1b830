import { LogRefusedError, LogUnavailableError } from "@stepstream/contracts";

/**
 * Whether it is the log that did not do what it was asked, and may do it later: no answer, a full stream, a permission that
 * is missing, a stream that does not exist. It says nothing about the run or message that it was for.
 */
export function isTransient(error: unknown): error is LogUnavailableError | LogRefusedError {
  return error instanceof LogUnavailableError || error instanceof LogRefusedError;
}
