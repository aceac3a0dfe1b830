/** The largest values that Stepstream takes. Each is named in the error of what exceeds it. */

/** Levels of objects and arrays in a value: an input, an output, a payload. */
export const MAX_DEPTH = 500;

/** Keys of one object in a value. With a million, each check and each copy takes a second, and other runs wait for it. */
export const MAX_KEYS = 100_000;

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

/** The longest message, in bytes of UTF-8: 256 MiB. Above 256 KiB it is kept in chunks, and read as one text. */
export const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

/** The longest value, in bytes of UTF-8 as JSON: what a message puts around it has room beside it. */
export const MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 65_536;

/** The longest question to a run, and the longest answer, in bytes: nats-server takes 1 MiB by default. */
export const MAX_QUERY_BYTES = 1_000_000;

/** The longest `data` of an error and its causes, in characters of JSON; a field beyond is left out. */
export const MAX_DATA_LENGTH = 16 * 1024 * 1024;

/** The highest number of a slot. Timers of deadlines have numbers above it. */
export const MAX_SLOT = 2 ** 31 - 1;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Whether a JSON text is nested deeper than `max` levels. Parses nothing and allocates nothing: about 3 µs per KiB.
 *
 * A text of fewer than 2 × `max` characters is not looked at: each level takes two.
 */
export function isDeeperText(text: string, max: number): boolean {
  if (text.length <= 2 * max) return false;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (quoted) {
      if (char === BACKSLASH) i++;
      else if (char === QUOTE) quoted = false;
    } else if (char === QUOTE) quoted = true;
    else if (char === OPEN_LIST || char === OPEN_OBJECT) {
      if (++depth > max) return true;
    } else if (char === CLOSE_LIST || char === CLOSE_OBJECT) depth--;
  }
  return false;
}

/** Whether its length in UTF-8 is above `max`. Counts only texts that are long enough to matter. */
export function isTooLong(text: string, max = MAX_MESSAGE_BYTES): boolean {
  return text.length * 3 > max && Buffer.byteLength(text) > max;
}
