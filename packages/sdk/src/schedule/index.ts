export {
  createSchedule,
  runOfSchedule,
  type ScheduleChange,
  type ScheduleClient,
  type ScheduledRun,
  ScheduleHandle,
  type ScheduleOptions,
  type ScheduleSummary,
  Schedules,
  scheduleHandle,
} from "./client.ts";
export { nextTimes } from "./preview.ts";
export type { Backfilled, Triggered } from "./protocol.ts";
export type { Instant, Overlap, ScheduleAction, ScheduleTimes } from "./spec.ts";
export type { ScheduleCounts, ScheduleDescription, ScheduleStart } from "./state.ts";
export { scheduleWorkflow } from "./workflow.ts";
