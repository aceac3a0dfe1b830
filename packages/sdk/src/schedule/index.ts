export { Overlap, ScheduleAction, ScheduleId, ScheduleTimes } from "./spec.ts";
export { ScheduleCounts, ScheduleDescription, ScheduleStart } from "./state.ts";
export { scheduleWorkflow } from "./workflow.ts";
