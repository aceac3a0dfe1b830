export { type GateOptions, gateHandler } from "./gate/handler.ts";
export { reportBlocked } from "./shell/blocked.ts";
export type { BreakerState } from "./shell/breaker.ts";
export type { StepContext } from "./shell/context.ts";
export type { WorkerEvent } from "./shell/deps.ts";
export type { Logger, LoggerOption } from "./shell/logger.ts";
export type { WorkerTelemetry } from "./shell/telemetry.ts";
export { createWorker, type Handler, type Worker, type WorkerOptions } from "./worker.ts";
