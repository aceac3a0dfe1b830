import type { RunStep } from "@stepstream/contracts";

/** What a worker tells about its attempts. Without it, nothing is traced and nothing is spent. */
export interface WorkerTelemetry {
  /**
   * Runs an attempt, inside a span if there are any.
   * @param deliveries - Tells the attempt from the same one after a crash.
   */
  attempt<T>(command: RunStep, attempt: number, deliveries: number, run: () => Promise<T>): Promise<T>;
}

export const noTelemetry: WorkerTelemetry = { attempt: (_command, _attempt, _deliveries, run) => run() };
