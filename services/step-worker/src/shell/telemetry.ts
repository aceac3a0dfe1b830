import type { RunStep } from "@stepstream/contracts";
import type { BreakerState } from "./breaker.ts";

/** What a worker tells about its work. Without it, nothing is traced and nothing is spent. */
export interface WorkerTelemetry {
  /**
   * Makes an attempt, inside a span if there are any. Ends as `run` does.
   * @param deliveries - How often the command has been delivered, this time included: tells an attempt from the
   *   same one after a crash.
   */
  attempt<T>(command: RunStep, attempt: number, deliveries: number, run: () => Promise<T>): Promise<T>;
  /** A step's circuit breaker changed its state. */
  breaker?(step: string, state: BreakerState): void;
}

export const noTelemetry: WorkerTelemetry = { attempt: (_command, _attempt, _deliveries, run) => run() };
