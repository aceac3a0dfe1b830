import type { RunStarted, Trace } from "@stepstream/contracts";

/** What a coordinator tells about its work. Without it, nothing is traced and nothing is spent. */
export interface CoordinatorTelemetry {
  /** The trace context that goes into every command of the run. */
  traceOf(started: RunStarted, run: string): Trace | undefined;
  /** A decision is about to be journalled; `end` when it is. */
  decision(started: RunStarted, run: string, upTo: number, events: number): { end(): void };
  /** A run is over. After a takeover it may be told again: with the same ids, so it is one span. */
  runEnded(ended: {
    run: string;
    started: RunStarted;
    startedAtMs: number;
    endedAtMs: number;
    /** The type of the terminal event. */
    outcome: string;
  }): void;
}

const noSpan = { end() {} };

export const noTelemetry: CoordinatorTelemetry = {
  traceOf: (started) => started.trace,
  decision: () => noSpan,
  runEnded() {},
};
