/**
 * What a schedule is told: when, and what then. The same words in a program and on the bus.
 *
 * Checked in two parts. The schemas here say what can be said for ever. Whether a cron pattern or a time zone is known
 * depends on the library and on Node's time zone data: {@link problemOf} asks them, and its answer may change.
 */

import { type Duration, durationMs, Name } from "@stepstream/contracts";
import { z } from "zod";

/** What becomes of a time that comes while the run of an earlier one has not ended. */
export const Overlap = z.enum(["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"]);
export type Overlap = z.infer<typeof Overlap>;

/** A schedule's id, and what the ids of its runs begin with: at most 22 characters follow, `-t-20261123T020000250Z`. */
export const ScheduleId = z.string().regex(/^[A-Za-z0-9_-]{1,42}$/, "1 to 42 of A-Z a-z 0-9 _ -");

/** The shortest interval. A schedule is no timer: each of its times is a run. */
const SHORTEST_MS = 100;
/** What is made up for after downtime, where nothing else is said. */
export const CATCH_UP_MS = 600_000;

const wholeMs = (least: number) =>
  z.custom<Duration>((value) => {
    try {
      const ms = durationMs(value as Duration);
      return Number.isSafeInteger(ms) && ms >= least;
    } catch {
      return false;
    }
  }, `must be a duration in whole milliseconds, at least ${least}: a number, or "250ms", "10s", "5m", "1.5h", "30d"`);

/** Epoch milliseconds, or ISO 8601 with a zone: `"2026-11-23T02:00:00Z"`, `"2026-11-23T03:00:00+01:00"`. */
const noInstant = 'must be epoch milliseconds, or ISO 8601 with a zone: "2026-11-23T02:00:00Z"';
export const Instant = z.union([z.int().min(0), z.iso.datetime({ offset: true, error: noInstant })], noInstant);
export type Instant = z.infer<typeof Instant>;

export function instantMs(instant: Instant): number {
  return typeof instant === "number" ? instant : Date.parse(instant);
}

/** When. */
const times = {
  /** Five fields, or six with seconds first; or several patterns; or "@hourly", "@daily", "@weekly", "@monthly", "@yearly". */
  cron: z.union([z.string(), z.array(z.string()).min(1).max(100)]).optional(),
  /** All multiples of it since 1970-01-01T00:00:00Z, at least 100 ms. With `cron`: both. */
  every: wholeMs(SHORTEST_MS).optional(),
  /** Moves the multiples of `every`: every "1d" with offset "2h" is 02:00 UTC. Default 0. */
  offset: wholeMs(0).optional(),
  /** The IANA time zone of `cron`, e.g. "Europe/Berlin". Default "UTC". */
  timezone: z.string().min(1).optional(),
  /** No time before it; itself, if it is one. Default: from when the schedule is made. */
  startAt: Instant.optional(),
  /** No time after it; itself, if it is one. Then the schedule ends. */
  endAt: Instant.optional(),
  /** Each run starts later by a random time, evenly up to this, but before the next time. Default 0. */
  jitter: wholeMs(0).optional(),
  /** Default "skip". */
  overlap: Overlap.optional(),
  /** How late a run may start, after downtime or a pause; a time that is longer ago is missed. Default "10m". */
  catchUp: wholeMs(0).optional(),
  /** Ends after so many runs; those asked for by `trigger` or `backfill` do not count. */
  limit: z.int().min(1).optional(),
};

/** Their names, for what takes them among its own options. */
export const TIMES: readonly string[] = Object.keys(times);

const coherent = [
  [(s: Times) => s.cron !== undefined || s.every !== undefined, "says no time: give it cron, every, or both", "cron"],
  [
    (s: Times) => s.offset === undefined || s.every !== undefined,
    "moves the times of every, which is not given",
    "offset",
  ],
  [
    (s: Times) => s.startAt === undefined || s.endAt === undefined || instantMs(s.startAt) <= instantMs(s.endAt),
    "is before startAt",
    "endAt",
  ],
] as const;

const plain = z.strictObject(times);
type Times = z.infer<typeof plain>;

/** When, and how the times of one schedule get along with each other. */
export const ScheduleTimes = coherent.reduce(
  (schema, [holds, message, key]) => schema.refine(holds, { message, path: [key] }),
  plain,
);
export type ScheduleTimes = z.infer<typeof ScheduleTimes>;

/** What is started at each of the times. */
export const ScheduleAction = z.strictObject({
  workflow: Name,
  version: z.int().min(1),
  input: z.unknown().optional(),
  /** What the ids of the runs begin with. */
  idPrefix: ScheduleId,
  /** A run fails if it has not ended in this time. */
  timeout: wholeMs(1).optional(),
});
export type ScheduleAction = z.infer<typeof ScheduleAction>;

/** For people. */
export const Note = z.string().max(1_000);
