import { checkValue, InvalidInputError, pathOf } from "@stepstream/contracts";
import type { z } from "zod";
import { type Instant, instantMs, ScheduleTimes } from "./spec.ts";
import { problemOf, timesIn, timesOf } from "./times.ts";

/**
 * When a schedule with these times would come, by this Node's time zone data: to look before it is made.
 *
 * @param options.after - Times after it. Default: now.
 * @param options.count - At most so many. Default 10.
 * @returns Epoch milliseconds, without jitter.
 * @throws {InvalidInputError} They make no sense. `path` says where.
 * @example nextTimes({ cron: "30 2 * * *", timezone: "Europe/Berlin" }).map((time) => new Date(time));
 */
export function nextTimes(times: ScheduleTimes, options: { after?: Instant | Date; count?: number } = {}): number[] {
  const { after = Date.now(), count = 10 } = options;
  const checked = checkTimes("schedule", times);
  const from = after instanceof Date ? after.getTime() : instantMs(after);
  return timesIn(timesOf(checked), from, Number.POSITIVE_INFINITY, count);
}

/** @throws {InvalidInputError} */
export function checkTimes(what: string, said: unknown): ScheduleTimes {
  const times = parsed(what, ScheduleTimes, said);
  const problem = problemOf(times);
  if (problem) throw new InvalidInputError(what, pathOf(problem.path), problem.message);
  return times;
}

/** @throws {InvalidInputError} */
export function parsed<S extends z.ZodType>(what: string, schema: S, value: unknown, at: string[] = []): z.output<S> {
  const result = checkValue(schema, value);
  if (result.ok) return result.value;
  throw new InvalidInputError(what, under(pathOf(at), result.path), result.message);
}

/** The path of what is at `path` inside of `parent`. */
export function under(parent: string, path: string): string {
  return parent && path && !path.startsWith("[") ? `${parent}.${path}` : parent + path;
}
