import type { StepstreamError } from "@stepstream/contracts";
import { LogRefusedError, LogUnavailableError, WrongLastSequenceError } from "@stepstream/contracts";
import { SERVER_ERRORS } from "./server-errors.ts";

/**
 * What an answer of nats-server means for the process that asked.
 *
 * A1. The outcome of a write is *stored*, *not stored* or *unknown*. Unknown is never reported as not stored.
 * A2. "unavailable" and "unknown" are no refusals: the same request is sent again, with the same message id, until its
 *     time is over. Every code of HTTP class 503 that the table does not name is "unavailable", also one of a newer server.
 * A3. "refused" is a definite answer: nothing was done, and the same request comes to the same until somebody changes
 *     something. So is a full store (10023, 10047, 10077), although nats-server gives two of these the class 503.
 *
 * Checked elsewhere:
 *   A1 A2 A3  answers.test.ts: is "%s" with code %i
 */
export type Meaning =
  /** An election, a server that is starting or shutting down, a queue that is full. It was not stored. */
  | "unavailable"
  /** It may be stored: the same message id is being processed, or a stream stopped while it was. */
  | "unknown"
  /** The fence does not hold. It was not stored. */
  | "moved"
  /** There is no such stream, consumer or message: an answer to a read. */
  | "absent"
  /** It was not stored, and the same again would be refused too. */
  | "refused";

export interface ServerError {
  /** `err_code`; 0 if there is none. */
  code: number;
  /** `code`: as of HTTP; 0 if there is none. */
  httpCode: number;
  why: string;
}

const MEANINGS: ReadonlyMap<number, Meaning> = new Map(SERVER_ERRORS.map(([code, , meaning]) => [code, meaning]));

export function meaningOf({ code, httpCode, why }: ServerError): Meaning {
  // One code for many reasons. This one is of a stream that is just being stopped; another replica may store it.
  if (code === API.storeFailed && why.includes("store is closed")) return "unknown";
  if (code === UNREADABLE) return "unknown";
  const known = MEANINGS.get(code);
  if (known) return known;
  if (httpCode === 503 || httpCode === 429) return "unavailable";
  return httpCode === 404 ? "absent" : "refused";
}

/** An append's error as ours. */
export function errorOfAppend(subject: string, expected: number | undefined, error: ServerError): StepstreamError {
  const what = `an append to ${subject}`;
  switch (meaningOf(error)) {
    case "moved":
      return new WrongLastSequenceError(subject, expected ?? 0);
    case "unavailable":
      return new LogUnavailableError(what, told(error), { outcome: "not stored" });
    case "unknown":
      return new LogUnavailableError(what, told(error));
    default:
      return new LogRefusedError(what, error.code, error.why);
  }
}

/** What the server said, for people. */
export function told({ code, why }: ServerError): string {
  return code > 0 ? `${why} (server error ${code})` : why;
}

/** "Maximum messages per subject": there is one on this subject already. */
export function isOnePerSubject({ code, why }: ServerError): boolean {
  return code === API.storeFailed && /per subject/.test(why);
}

/** Stands for an answer that is none. */
export const UNREADABLE = -1;

/** Codes of the JetStream API that the code asks for by name. */
export const API = {
  consumerNotFound: 10014,
  consumerExists: 10148,
  streamNotFound: 10059,
  noMessage: 10037,
  sequenceNotFound: 10043,
  streamNameInUse: 10058,
  storeFailed: 10077,
} as const;
