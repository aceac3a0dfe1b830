/** What a schedule knows, and what it tells of it: plain data, for it is carried through `continueAsNew`. */

import { EpochMs, RunId } from "@stepstream/contracts";
import { z } from "zod";
import { Note, Overlap, ScheduleAction, ScheduleId, ScheduleTimes } from "./spec.ts";

const Count = z.int().min(0);
const Cause = z.enum(["time", "trigger", "backfill"]);

const Due = z.object({ at: EpochMs, run: RunId, cause: Cause, overlap: Overlap });

/** How a run that was started stands, as far as the schedule knows. */
const StartOutcome = z.enum([
  "running",
  "completed",
  "failed",
  "cancelled",
  "terminated",
  /** Not started: there was a run with this id. So each time has one run, also after a backfill. */
  "existing",
  /** The schedule went on without waiting for it ("allow-all"). Its own status says. */
  "unknown",
]);
type StartOutcome = z.infer<typeof StartOutcome>;

/** How it ended, as its schedule was told. */
export type RunOutcome = Exclude<StartOutcome, "running" | "unknown">;

/** Something that a schedule has started. */
export const ScheduleStart = z.object({
  run: RunId,
  /** The time it is for; for a trigger, when it was asked for. */
  at: EpochMs,
  /** At its time, or asked for by hand. */
  cause: Cause,
  /** When it was asked for, by the time of the history: `at`, jitter, and what it had to wait. */
  startedAt: EpochMs,
  outcome: StartOutcome,
  endedAt: EpochMs.optional(),
  /** Why it did not complete. */
  message: z.string().optional(),
});
export type ScheduleStart = z.infer<typeof ScheduleStart>;

export const ScheduleCounts = z.object({
  started: Count,
  completed: Count,
  failed: Count,
  cancelled: Count,
  terminated: Count,
  existing: Count,
  /** Times left out because a run was on. Counted to 10,000 at a time. */
  skipped: Count,
  /** Times that came while nobody was there, or in a pause, longer ago than `catchUp`. Counted to 10,000 at a time. */
  missed: Count,
});
export type ScheduleCounts = z.infer<typeof ScheduleCounts>;

export const ScheduleState = z.object({
  paused: z.boolean(),
  note: Note,
  /** How many may still start by themselves; null: no limit. */
  left: Count.nullable(),
  /** The run that others wait for. */
  running: z.object({ run: RunId, stoppable: z.boolean(), stopping: z.boolean() }).nullable(),
  waiting: z.array(Due),
  /** Decided on, but not done yet. */
  starting: z.array(Due),
  /** All times up to here are settled. */
  settledUpTo: EpochMs,
  /** The time in the id of the last run that was asked for by hand. */
  triggeredAt: EpochMs,
  counts: ScheduleCounts,
  /** The last 20, the oldest first. */
  recent: z.array(ScheduleStart),
});
export type ScheduleState = z.infer<typeof ScheduleState>;

/** What `describe()` tells. */
export const ScheduleDescription = z.object({
  id: ScheduleId,
  times: ScheduleTimes,
  action: ScheduleAction,
  paused: z.boolean(),
  note: z.string(),
  /** Its last time has come, or it was deleted: nothing is started any more. */
  over: z.boolean(),
  /** The next ten times, without jitter. In a pause: what they would be. */
  next: z.array(EpochMs),
  /** Runs that are on, as far as is known. */
  running: z.array(RunId),
  /** How many wait for the end of a run. */
  waiting: Count,
  /** How many may still start by themselves; null: no limit. */
  left: Count.nullable(),
  counts: ScheduleCounts,
  /** The last 20, the newest first. */
  recent: z.array(ScheduleStart),
});
export type ScheduleDescription = z.infer<typeof ScheduleDescription>;

const MOST_RECENT = 20;
/** Characters of a failure's message. */
const MOST_MESSAGE = 500;

export function initialState(given: {
  now: number;
  paused: boolean | undefined;
  note: string | undefined;
  limit: number | undefined;
}): ScheduleState {
  return {
    paused: given.paused ?? false,
    note: given.note ?? "",
    left: given.limit ?? null,
    running: null,
    waiting: [],
    starting: [],
    settledUpTo: given.now,
    triggeredAt: 0,
    counts: { started: 0, completed: 0, failed: 0, cancelled: 0, terminated: 0, existing: 0, skipped: 0, missed: 0 },
    recent: [],
  };
}

/** Writes down that something was started. @returns the entry, for its end. */
export function noteStart(state: ScheduleState, start: Omit<ScheduleStart, "outcome">): ScheduleStart {
  const entry: ScheduleStart = { ...start, outcome: "running" };
  state.counts.started++;
  state.recent.push(entry);
  if (state.recent.length > MOST_RECENT) state.recent.shift();
  return entry;
}

/** Writes down how it ended. */
export function noteEnd(
  state: ScheduleState,
  entry: ScheduleStart,
  end: { outcome: RunOutcome; endedAt: number; message: string | undefined },
): void {
  state.counts[end.outcome]++;
  entry.outcome = end.outcome;
  entry.endedAt = end.endedAt;
  if (end.message !== undefined) entry.message = end.message.slice(0, MOST_MESSAGE);
}
