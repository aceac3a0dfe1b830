export { createTelemetry, type TelemetryOptions } from "./create.ts";
export { idGenerator } from "./id-generator.ts";
export { idsOfRun, type RunIds, spanIdOfAttempt, spanIdOfDecision } from "./ids.ts";
export { activeIds, idsOfTrace, type LogIds } from "./logging/ids.ts";
export { INSTRUMENTS, type InstrumentName, type InstrumentSpec } from "./metrics/instruments.ts";
export { type Gauges, measured, type Observed } from "./metrics/metrics.ts";
export { kindOf, Repeats } from "./repeats.ts";
export { startTelemetry } from "./setup.ts";
export {
  type AttemptOutcome,
  type AttemptSpan,
  type Carried,
  type DecisionSpan,
  type Decisions,
  type EndOfRun,
  noTelemetry,
  type Parked,
  type StartOfRun,
  type Telemetry,
} from "./telemetry.ts";
