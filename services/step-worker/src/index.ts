export { MAX_LOST, type Standing, standing } from "./attempt/standing.ts";
export { judge, type Verdict } from "./attempt/verdict.ts";
export { type GateOptions, runGate } from "./gate.ts";
export type { StepContext } from "./shell/context.ts";
export type { BreakerState, WorkerEvent } from "./shell/events.ts";
export type { Handler } from "./shell/handling.ts";
export type { WorkerTelemetry } from "./shell/telemetry.ts";
export { createWorker, type Worker, type WorkerOptions } from "./worker.ts";
