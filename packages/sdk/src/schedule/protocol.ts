/** What a schedule's run is started with, asked and told. */

import { EpochMs } from "@stepstream/contracts";
import { z } from "zod";
import { Note, Overlap, ScheduleAction, ScheduleId, ScheduleTimes } from "./spec.ts";
import { ScheduleDescription, ScheduleState } from "./state.ts";

export const Started = z.strictObject({
  id: ScheduleId,
  times: ScheduleTimes,
  action: ScheduleAction,
  paused: z.boolean().optional(),
  note: Note.optional(),
  /** What is carried on, where it goes on as new. */
  state: ScheduleState.optional(),
});
export type ScheduleInput = z.infer<typeof Started>;

export const queries = {
  describe: {
    /** `now`: from when on the next times are told. The last message of the history may be long ago. */
    input: z.strictObject({ now: EpochMs.optional() }),
    output: ScheduleDescription,
  },
};

const Noted = z.strictObject({ note: Note.optional() });
const Paused = z.object({ paused: z.boolean() });
/** "waiting": for the end of a run. */
const Fate = z.enum(["started", "waiting", "skipped"]);

export const updates = {
  pause: { input: Noted, output: Paused },
  resume: { input: Noted, output: Paused },
  trigger: {
    input: z.strictObject({ overlap: Overlap.optional() }),
    output: z.object({ run: z.string(), outcome: Fate }),
  },
  backfill: {
    input: z.strictObject({ from: EpochMs, to: EpochMs, overlap: Overlap.optional() }),
    output: z.record(Fate, z.int().min(0)),
  },
  change: {
    input: z.strictObject({
      times: ScheduleTimes,
      /** Default: as before. */
      action: ScheduleAction.optional(),
      paused: z.boolean().optional(),
      note: Note.optional(),
    }),
    output: Paused,
  },
  delete: { input: z.strictObject({}), output: z.object({ deleted: z.literal(true) }) },
};

type Updates = typeof updates;
export type Triggered = z.infer<Updates["trigger"]["output"]>;
export type Backfilled = z.infer<Updates["backfill"]["output"]>;
