/**
 * The times of a schedule. Pure, given a Node: its time zone data decides when 02:00 in Berlin is.
 *
 * T1. Times grow; each is named once, also where several patterns name it.
 * T2. A cron pattern names wall-clock times of its zone. One that does not exist (clocks go forward) comes as much
 *     later as the clocks have skipped: 02:30 at 03:30. One that exists twice (clocks go back) comes the first time.
 * T3. A pattern with `*` for its hours goes by the time that passes: whatever wall clocks show between a change and
 *     the next, it comes when they show a minute that it names; twice if they show it twice.
 * T4. An interval's times are multiples of it in UTC; wall clocks do not matter.
 *
 * Source of T2: RFC 5545, section 3.3.5, "local time that does not occur", "occurs more than once".
 *
 * Checked elsewhere:
 *   T1  times.test.ts: (T1)
 *   T2  times.test.ts: (T2)
 *   T3  times.test.ts: (T3)
 *   T4  times.test.ts: (T4)
 */

import { durationMs } from "@stepstream/contracts";
import { type CronPattern, parseCron } from "./cron.ts";
import { instantMs, type ScheduleTimes } from "./spec.ts";
import { FURTHEST_MS, type Zone, zoneOf } from "./zone.ts";

export interface Times {
  /** The first time after that instant, if there is one. Epoch milliseconds. */
  next(afterMs: number): number | undefined;
}

/**
 * @throws {RangeError} A pattern or time zone that is not known; see {@link problemOf} for one that says where.
 */
export function timesOf(spec: ScheduleTimes): Times {
  const zone = zoneOf(spec.timezone ?? "UTC");
  const all: Times[] = patternsOf(spec).map((pattern) => cronTimes(parseCron(pattern), zone));
  if (spec.every !== undefined) all.push(intervalTimes(durationMs(spec.every), durationMs(spec.offset ?? 0)));
  const from = spec.startAt === undefined ? Number.NEGATIVE_INFINITY : instantMs(spec.startAt) - 1;
  const to = spec.endAt === undefined ? Number.POSITIVE_INFINITY : instantMs(spec.endAt);
  return {
    next(afterMs) {
      let first: number | undefined;
      for (const times of all) {
        const time = times.next(Math.max(afterMs, from));
        if (time !== undefined && time <= to && (first === undefined || time < first)) first = time;
      }
      return first;
    },
  };
}

function patternsOf(spec: ScheduleTimes): readonly string[] {
  return spec.cron === undefined ? [] : typeof spec.cron === "string" ? [spec.cron] : spec.cron;
}

/** The times in (after, to], at most `max` of them. */
export function timesIn(times: Times, afterMs: number, toMs: number, max: number): number[] {
  const found: number[] = [];
  for (
    let time = times.next(afterMs);
    time !== undefined && time <= toMs && found.length < max;
    time = times.next(time)
  )
    found.push(time);
  return found;
}

/** How many times are in (after, to]; counts no further than `max`. */
export function countIn(times: Times, afterMs: number, toMs: number, max: number): number {
  let count = 0;
  for (let time = times.next(afterMs); time !== undefined && time <= toMs && count < max; time = times.next(time))
    count++;
  return count;
}

/** What is wrong with the parts of it that only the library and Node's time zone data can judge. */
export function problemOf(spec: ScheduleTimes): { path: (string | number)[]; message: string } | undefined {
  const said = (check: () => unknown): string | undefined => {
    try {
      check();
      return undefined;
    } catch (error) {
      if (error instanceof RangeError) return error.message;
      throw error;
    }
  };
  const zone = said(() => zoneOf(spec.timezone ?? "UTC"));
  if (zone) return { path: ["timezone"], message: zone };
  for (const [i, pattern] of patternsOf(spec).entries()) {
    const path = typeof spec.cron === "string" ? ["cron"] : ["cron", i];
    const message =
      said(() => parseCron(pattern)) ??
      (parseCron(pattern).next(0) === undefined ? `"${pattern}" names no day that exists` : undefined);
    if (message) return { path, message };
  }
  return undefined;
}

function intervalTimes(everyMs: number, offsetMs: number): Times {
  return { next: (afterMs) => (Math.floor((afterMs - offsetMs) / everyMs) + 1) * everyMs + offsetMs };
}

/**
 * Wall-clock times as instants. Between two changes of the zone's offset that is a subtraction; so it looks as if
 * there were no change ahead, and if there is one before what it finds, looks again from there.
 */
function cronTimes(pattern: CronPattern, zone: Zone): Times {
  return {
    next(afterMs) {
      for (let from = afterMs; ; ) {
        const found = beforeChange(pattern, zone, from);
        if (found === undefined) return undefined;
        if (found - from > 2 * FURTHEST_MS) {
          // Far off: there is nothing until near there, whatever wall clocks do on the way.
          from = found - 2 * FURTHEST_MS;
          continue;
        }
        const change = zone.changeIn(from + 1, found);
        if (change === undefined) return found;
        from = change - 1;
      }
    },
  };
}

/** The first time after `fromMs`, if no change lies between. */
function beforeChange(pattern: CronPattern, zone: Zone, fromMs: number): number | undefined {
  const offset = zone.offsetAt(fromMs + 1);
  const change = pattern.everyHour ? undefined : zone.changeIn(fromMs + 1 - FURTHEST_MS, fromMs + 1);
  if (change === undefined) return minus(pattern.next(fromMs + offset), offset);
  const before = zone.offsetAt(change - 1);
  // Went back: what wall clocks show for the second time has been.
  if (before > offset) return minus(pattern.next(Math.max(fromMs + offset, change + before - 1)), offset);
  // Went forward: what they skipped comes late, by the offset of before.
  const regular = minus(pattern.next(fromMs + offset), offset);
  const skipped = pattern.next(fromMs + before);
  if (skipped === undefined || skipped >= change + offset) return regular;
  return regular === undefined ? skipped - before : Math.min(regular, skipped - before);
}

function minus(wall: number | undefined, offset: number): number | undefined {
  return wall === undefined ? undefined : wall - offset;
}

/** As it is in the ids of runs: "20261123T020000Z", with milliseconds where it is no whole second. */
export function compact(instant: number): string {
  return new Date(instant).toISOString().replace(/[-:]|\.000|\./g, "");
}
