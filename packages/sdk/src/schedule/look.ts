import { countIn, type Times, timesIn } from "./times.ts";

/** What a schedule sees when it looks at its times. Recorded in its run's history: time zone data may change later. */
export interface Look {
  /** All times up to here are told of. */
  upTo: number;
  /** Times that came, to be decided on. */
  due: number[];
  /** Times that came so long ago that they are missed. */
  missed: number;
  /** Times that came after those of `due`, of which it is certain that they are skipped. */
  skipped: number;
  /** Not all times up to now are told of: look again. */
  more: boolean;
  /** The next time, and the one after it: no jitter reaches that far. */
  next: number | null;
  nextButOne: number | null;
}

/** Times listed at a time. */
const MOST_LISTED = 2_000;
/** Times that are only counted: no further than this. */
const MOST_COUNTED = 10_000;

/**
 * The times in (after, now], and the next.
 *
 * @param from - What came before it is missed.
 * @param room - Of how many times more than the first so many are skipped.
 */
export function look(
  times: Times,
  { after, now, from, room }: { after: number; now: number; from: number; room: number },
): Look {
  const missed = from > after ? countIn(times, after, Math.min(from - 1, now), MOST_COUNTED) : 0;
  const since = Math.max(after, from - 1);
  const due = timesIn(times, since, now, Math.min(room, MOST_LISTED));
  const full = due.length === room;
  const more = !full && due.length === MOST_LISTED;
  const skipped = full ? countIn(times, due.at(-1) ?? since, now, MOST_COUNTED) : 0;
  const upTo = more ? due.at(-1)! : Math.max(after, now);
  const next = more ? undefined : times.next(upTo);
  const nextButOne = next === undefined ? undefined : times.next(next);
  return { upTo, due, missed, skipped, more, next: next ?? null, nextButOne: nextButOne ?? null };
}
