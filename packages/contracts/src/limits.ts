/** The largest values that Stepstream takes. Each is named in the error of what exceeds it. */

/** Levels of objects and arrays in a value: an input, an output, a payload. */
export const MAX_DEPTH = 500;

/** Levels of objects and arrays in a message on the bus: a value, and what a message puts around it. */
export const MAX_MESSAGE_DEPTH = MAX_DEPTH + 24;

/** Levels of each field that an error carries as `data`; one with more is left out. */
export const MAX_DATA_DEPTH = 64;

/** Has a value made by JSON.parse more levels of objects and arrays? */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels <= 0) return true;
  for (const part of Object.values(value)) if (isDeeper(part, levels - 1)) return true;
  return false;
}

/**
 * The longest duration, in milliseconds: 100 years. nats-server holds a time as nanoseconds in 64 bits, which end in the
 * year 2262; a time after that would come at once.
 */
export const MAX_DURATION_MS = 36_525 * 86_400_000;

/** The longest wait of a timer in a process that is not split, in milliseconds: 24 days. */
export const MAX_TIMER_MS = 24 * 86_400_000;

/** The latest time that a Date can hold. */
export const MAX_TIME_MS = 8.64e15;

/** The latest time that nats-server can schedule a message for: 2262-01-01T00:00:00Z. */
export const MAX_SCHEDULE_MS = 9_214_646_400_000;
