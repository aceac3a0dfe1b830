export { type Coordinator, type CoordinatorOptions, createCoordinator } from "./coordinator.ts";
export { RunExecution } from "./run/execution.ts";
export { guardGlobals } from "./run/globals.ts";
export type { Decided } from "./run/recorder.ts";
export { type RecordedRun, replayRun } from "./run/replay.ts";
export { finishTurn } from "./run/turn.ts";
export { createBoundary } from "./shell/boundary.ts";
export { UnansweredError } from "./shell/commands.ts";
export type { CoordinatorEvent, CoordinatorTelemetry, Settings } from "./shell/deps.ts";
