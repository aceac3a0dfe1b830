import type { Telemetry } from "@stepstream/telemetry";
import type { BreakerState } from "./breaker.ts";

/** What a worker tells about its work: the part of telemetry that it has use for, and its breakers. */
export interface WorkerTelemetry extends Pick<Telemetry, "attempt"> {
  /** A step's circuit breaker changed its state. */
  breaker?(step: string, state: BreakerState): void;
  /** A handler was started twice for one slot, and neither start crashed. */
  startedTwice?(step: string): void;
}
