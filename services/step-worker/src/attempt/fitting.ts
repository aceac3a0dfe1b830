import { encode, type Failure, MessageTooLargeError, shortened } from "@stepstream/contracts";

/**
 * Writes a message about an error. A handler may throw anything, also what is larger than a message may be: then the
 * error is reported by its name, its code and the start of its message, for the slot must have an outcome.
 */
export function withError(what: string, error: Failure, message: (error: Failure) => object): string {
  try {
    return encode(what, message(error));
  } catch (thrown) {
    if (!(thrown instanceof MessageTooLargeError)) throw thrown;
    return encode(what, message(shortened(error)));
  }
}
