import type { Where } from "@stepstream/contracts";
import type { Standing } from "../attempt/standing.ts";
import { type Attempted, attempt } from "./attempt.ts";
import type { Deps } from "./deps.ts";
import type { Alone } from "./isolation.ts";
import type { Job } from "./job.ts";

/**
 * A command that may end its process: earlier deliveries of it left no record.
 *
 * It is started alone, with a record that says so, stored before its handler is called. So if its process ends, the next
 * worker knows that nothing else was in it.
 *
 * C1. The wait to be alone, and the time alone, have a limit, which doubles with each delivery and start that left no
 *     record: a long step that is innocent holds others up for half a minute, and one that ends its process after an hour is
 *     found all the same.
 * C2. When others join, a record says so first: what happens then is held against nothing.
 *
 * Checked elsewhere:
 *   C1  ../../test/suspects.test.ts: holds others up for half a minute at first
 *   C2  ../../test/suspects.test.ts: that others have joined is not held responsible
 */
const LIMIT_MS = 30_000;
const LIMIT_MAX_MS = 3_600_000;

/** @throws The reason of `deps.stopping`. */
export async function untilAlone(deps: Deps, at: Standing, where: Where): Promise<Alone | undefined> {
  const { silent, alone } = at;
  const why = alone > 0 ? `its process ended ${alone} times while it was alone` : `${silent} deliveries left no record`;
  const limitMs = limitOf(at);
  const granted = await deps.isolation.alone(limitMs, deps.stopping);
  // Also for people: should the process end now, this is the last line.
  if (granted) deps.logger.warn(`runs alone in this process, as ${why}: it may be what ends the process`, { ...where });
  else {
    const company = `runs beside others, which have not ended within ${limitMs / 1_000} s, although ${why}`;
    deps.logger.warn(company, { ...where });
  }
  return granted;
}

/** @returns false if another worker has the slot; then nothing was written. */
export function recordAlone(job: Job): Promise<boolean> {
  job.records.alone = true;
  return record(job);
}

/** Once `recordAlone` is stored. */
export async function attemptAlone(job: Job, input: unknown, alone: Alone): Promise<Attempted> {
  const { deps, records, at, where } = job;
  const timer = deps.clock.setTimeout(() => {
    records.alone = false;
    record(job).then(
      (kept) => kept && alone.end(),
      (error) => deps.warn("end the isolation of a command", error, where.run),
    );
  }, limitOf(at));
  try {
    return await attempt(job, input);
  } finally {
    deps.clock.clearTimeout(timer);
  }
}

function record({ records, held, at, where }: Job): Promise<boolean> {
  const { slot, step, attempt } = where;
  const details = held.running?.details ?? at.details;
  return records.append({ v: 1, type: "AttemptHeartbeat", slot, step, attempt, details });
}

function limitOf(at: Standing): number {
  return Math.min(LIMIT_MAX_MS, LIMIT_MS * 2 ** (Math.max(0, at.silent - 3) + at.alone));
}
