import type { RunStarted, RunStep, Trace } from "@stepstream/contracts";

/**
 * What clients, coordinators and workers tell about their work.
 *
 * One run is one trace. Its root is the run's own span, from start to end, unless the client was inside a span
 * when it started the run: then the run hangs below that. Starts, decisions and attempts hang below the run.
 */
export interface Telemetry {
  /**
   * Client: starts a run, inside a span.
   * @param append - Appends `RunStarted` with the trace it is given, if any.
   */
  start<T>(start: StartOfRun, append: (trace: Trace | undefined) => Promise<T>): Promise<T>;

  /** Coordinator: what goes into every command of the run, so that attempts hang below the run. */
  traceOf(started: RunStarted, run: string): Trace | undefined;
  /**
   * Coordinator: a decision is about to be journalled.
   * @param upTo - The inbox sequence that it consumed.
   * @param events - How many events it holds.
   */
  decision(started: RunStarted, run: string, upTo: number, events: number): DecisionSpan;
  /** Coordinator: a run is over. May be told again after a takeover: with the same ids, so it is one span. */
  runEnded(ended: EndOfRun): void;

  /**
   * Worker: makes an attempt, inside a span that is active while the handler runs.
   * @param deliveries - How often the command has been delivered, this time included.
   * @throws What `run` threw, which the span records.
   */
  attempt<T>(command: RunStep, attempt: number, deliveries: number, run: () => Promise<T>): Promise<T>;
}

export interface StartOfRun {
  /** The run's. */
  id: string;
  workflow: string;
  version: number;
}

export interface DecisionSpan {
  /** @param written - "moved": another coordinator had decided already, and this decision was dropped. */
  end(written?: "written" | "moved"): void;
}

export interface EndOfRun {
  run: string;
  started: RunStarted;
  /** When the log stored the start, in epoch milliseconds. */
  startedAtMs: number;
  /** The time of the message that the run ended with, in epoch milliseconds. */
  endedAtMs: number;
  /** The type of the terminal event: RunCompleted, RunFailed or RunCancelled. */
  outcome: string;
  /** Why it failed. */
  error?: { code: string; message: string } | undefined;
}

const noSpan: DecisionSpan = { end() {} };

/** Nothing is traced and nothing is spent. Trace contexts that come in are handed on. */
export const noTelemetry: Telemetry = {
  start: (_start, append) => append(undefined),
  traceOf: (started) => started.trace,
  decision: () => noSpan,
  runEnded() {},
  attempt: (_command, _attempt, _deliveries, run) => run(),
};
