import { hash } from "node:crypto";

/**
 * The ids of a run's trace, derived from names that everyone knows.
 *
 * Whoever takes a run over names its spans as its predecessor would have; a span that is told twice is
 * one span. A console finds a run's trace without asking anybody.
 */
export interface RunIds {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
}

/** SHA-256 of `<namespace>/<run>`: the first 16 bytes name the trace, the next 8 the run's span. */
export function idsOfRun(namespace: string, run: string): RunIds {
  const digest = hash("sha256", `${namespace}/${run}`, "hex");
  return { traceId: notZero(digest.slice(0, 32)), spanId: notZero(digest.slice(32, 48)) };
}

/** The span of the decision that consumed the inbox up to sequence `upTo`. */
export function spanIdOfDecision(namespace: string, run: string, upTo: number): string {
  return spanId(`${namespace}/${run}/decision/${upTo}`);
}

/** The span that says that nobody could take the run further, after inbox sequence `after`. */
export function spanIdOfPark(namespace: string, run: string, after: number): string {
  return spanId(`${namespace}/${run}/park/${after}`);
}

/**
 * The span of an attempt.
 *
 * @param deliveries - How often the command had been delivered: an attempt that is made again after a crash is
 *   another span.
 */
export function spanIdOfAttempt(
  namespace: string,
  run: string,
  slot: number,
  attempt: number,
  deliveries: number,
): string {
  return spanId(`${namespace}/${run}/${slot}/${attempt}/${deliveries}`);
}

function spanId(name: string): string {
  return notZero(hash("sha256", name, "hex").slice(0, 16));
}

/** All zeros mean "no id" in W3C trace context. */
function notZero(id: string): string {
  return /[^0]/.test(id) ? id : `${id.slice(1)}1`;
}
