import { z } from "zod";

/**
 * Names that become one token of a NATS subject, hence no dots, spaces or wildcards.
 */

/** Isolates tenants, environments and tests from each other: `<ns>.inbox.…`. */
export const Namespace = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, "1 to 32 of A-Z a-z 0-9 _ -");

/** A run's identity, and its idempotency key: at most one run is ever started with it. */
export const RunId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 _ -");

/** A step's or a workflow's name. Objects are keyed by names, hence not `__proto__`. */
export const Name = z.string().regex(/^(?!__proto__$)[A-Za-z0-9_-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 _ -");

/** The n-th piece of work a run asked for: 1, 2, 3 … in the order of the calls. */
export const Slot = z.int().min(1);

/** One try at a slot: 1 for the first. */
export const Attempt = z.int().min(1);

/** Milliseconds since 1970-01-01T00:00:00Z. */
export const EpochMs = z.int().min(0);

/** A length of time in milliseconds. */
export const Ms = z.number().min(0);

/** Stable, for programs, e.g. `PAYMENT_DECLINED` or `CardDeclined`. */
export const Code = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/);

/**
 * The partition of a run: the same number for everyone who computes it.
 *
 * @param partitions - How many partitions the namespace has (kept in the stream's metadata).
 * @returns 0 … partitions − 1.
 *
 * Source: FNV-1a, 32 bit, over the characters of the id (all ASCII), modulo `partitions`.
 * http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function partitionOf(runId: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < runId.length; i++) {
    hash ^= runId.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % partitions;
}
