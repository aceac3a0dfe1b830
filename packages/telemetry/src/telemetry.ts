import type { InboxMessage, RunEvent, RunStarted, RunStep, StepstreamError, Trace } from "@stepstream/contracts";
import type { LogIds } from "./logging/ids.ts";

/**
 * What clients, coordinators and workers tell about their work.
 *
 * One run is one trace. Its root is the run's own span, from start to end, unless the client was inside a span
 * when it started the run: then the run hangs below that. Starts, decisions, attempts and children hang below the run.
 */
export interface Telemetry {
  /**
   * Client: starts a run, inside a span.
   * @param append - Appends `RunStarted` with what it is given.
   */
  start<T>(start: StartOfRun, append: (carried: Carried) => Promise<T>): Promise<T>;

  /** Coordinator: what goes into every command of the run and every child, so that they hang below the run. */
  traceOf(started: RunStarted, run: string): Trace | undefined;
  /** Coordinator: for one mailbox of a run, which takes messages and decides. */
  decisions(run: string): Decisions;
  /** Coordinator: nobody at hand can take the run further. */
  parked(parked: Parked): void;
  /** Coordinator: a run is over. May be told again after a takeover: with the same ids, so it is one span. */
  runEnded(ended: EndOfRun): void;

  /** Worker: begins an attempt. `now`: the server's time, in epoch milliseconds; default: this machine's. */
  attempt(command: RunStep, attempt: number, more: AttemptBegun): AttemptSpan;
}

interface AttemptBegun {
  deliveries: number;
  backoffMs?: number | undefined;
  now?: number;
}

export interface StartOfRun {
  /** The run's. */
  id: string;
  workflow: string;
  version: number;
}

/** What `RunStarted` carries of the caller. */
export interface Carried {
  trace?: Trace;
  /** As the header of W3C baggage has it. */
  baggage?: string;
}

/** What one mailbox of a run does: batches of messages taken, and what is decided upon them. */
export interface Decisions {
  /** Messages are in hand: the next decision begins here. */
  begin(): void;
  /** One of them is folded. It belongs to the next decision that is made. */
  took(message: InboxMessage): void;
  /** The run was rebuilt from so many messages: what was taken before counts for nothing. */
  rebuilt(messages: number): void;
  /**
   * A decision is about to be journalled.
   * @param upTo - The inbox sequence that it consumed.
   */
  decided(started: RunStarted, upTo: number, events: readonly { readonly event: RunEvent }[]): DecisionSpan;
}

export interface DecisionSpan {
  /** @param written - "moved": another coordinator had decided already, and this decision was dropped. */
  end(written?: "written" | "moved"): void;
}

export interface Parked {
  run: string;
  started: RunStarted;
  fault: StepstreamError;
  /** The record says so after this inbox sequence: one span, however many coordinators say it. */
  after: number;
}

export interface EndOfRun {
  run: string;
  started: RunStarted;
  /** When the log stored the start, in epoch milliseconds. */
  startedAtMs: number;
  /** The time of the message that the run ended with, in epoch milliseconds. */
  endedAtMs: number;
  /** The type of the terminal event: RunCompleted, RunFailed, RunCancelled or RunTerminated. */
  outcome: string;
  /** Why it failed. */
  error?: { code: string; message: string } | undefined;
}

/** An attempt under way. */
export interface AttemptSpan {
  /** Calls the handler, with the span and the run's baggage active. */
  run<T>(handle: () => Promise<T>): Promise<T>;
  end(outcome: AttemptOutcome): void;
  /** What log lines about it bear; undefined if it is not traced. */
  readonly ids?: LogIds | undefined;
}

export type AttemptOutcome =
  | { how: "completed" | "cancelled" | "handedBack" }
  /** `retryInMs`: how long until the next attempt; absent where there is none. */
  | { how: "failed"; error: unknown; retryInMs?: number | undefined };

const noSpan: DecisionSpan = { end() {} };
const noDecisions: Decisions = { begin() {}, took() {}, rebuilt() {}, decided: () => noSpan };
const noAttempt: AttemptSpan = { run: (handle) => handle(), end() {} };
const nothing: Carried = {};

/** Nothing is traced and nothing is spent. Trace contexts that come in are handed on. */
export const noTelemetry: Telemetry = {
  start: (_start, append) => append(nothing),
  traceOf: (started) => started.trace,
  decisions: () => noDecisions,
  parked() {},
  runEnded() {},
  attempt: () => noAttempt,
};
