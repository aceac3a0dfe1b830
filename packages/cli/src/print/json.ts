import type { HistoryEntry } from "@stepstream/sdk";
import { errorOf } from "../errors.ts";
import type { Io } from "../io.ts";

/**
 * What `--json` prints.
 *
 * J1. Every time is ISO 8601 in UTC, with milliseconds: `2026-11-23T02:00:00.000Z`.
 * J2. What users have put in (inputs, outputs, payloads, details of errors) stands as it is stored.
 * J3. Every error is an object with `code` and `message`; where it has one, a `cause` of the same shape.
 *
 * Checked elsewhere:
 *   J1, J3  test/cli/json.test.ts
 */

/** One object on one line. */
export function printLine(io: Io, value: unknown): void {
  io.out.write(`${JSON.stringify(withTimes(value))}\n`);
}

/** One object over several lines. */
export function printPage(io: Io, value: unknown): void {
  io.out.write(`${JSON.stringify(withTimes(value), undefined, 2)}\n`);
}

/** A message of a history. */
export function entryJson(entry: HistoryEntry): object {
  return entry.kind === "malformed" ? { ...entry, error: errorOf(entry.error) } : entry;
}

/** What these hold is the users', whatever it is called inside. */
const USERS: ReadonlySet<string> = new Set([
  ...["input", "output", "payload", "details", "detail", "data", "value", "baggage", "text"],
]);
/** Fields that hold a time, or several: milliseconds since 1970, by the messages of the bus. */
const TIME = /^(at|since|next|exportedAt)$|[a-z]At$/;

/** The same with its times as text (J1, J2). Pure. */
export function withTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withTimes);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => {
      if (USERS.has(key)) return [key, field];
      if (!TIME.test(key)) return [key, withTimes(field)];
      return [key, Array.isArray(field) ? field.map(time) : time(field)];
    }),
  );
}

function time(value: unknown): unknown {
  if (typeof value !== "number") return withTimes(value);
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? value : date.toISOString();
}
