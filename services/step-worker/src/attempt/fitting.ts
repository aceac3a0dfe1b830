import { encode, type Failure, MessageTooLargeError } from "@stepstream/contracts";

/** Characters of its message that are kept of an error that fits no message. */
const MESSAGE_MAX = 10_000;

/**
 * Writes a message about an error. A handler may throw anything, also what is larger than a message may be: then the
 * error is told by its name, its code and the beginning of its message, for the slot must have an outcome.
 */
export function withError(what: string, error: Failure, message: (error: Failure) => object): string {
  try {
    return encode(what, message(error));
  } catch (thrown) {
    if (!(thrown instanceof MessageTooLargeError)) throw thrown;
    const { name, code } = error;
    const short = `${error.message.slice(0, MESSAGE_MAX)} (shortened: the error is too large to be sent)`;
    return encode(what, message({ name: name.slice(0, 200), code, message: short }));
  }
}
