export { createTelemetry, type TelemetryOptions } from "./create.ts";
export { idGenerator } from "./id-generator.ts";
export { idsOfRun, type RunIds, spanIdOfAttempt, spanIdOfDecision } from "./ids.ts";
export { startTelemetry } from "./setup.ts";
export { type DecisionSpan, type EndOfRun, noTelemetry, type StartOfRun, type Telemetry } from "./telemetry.ts";
