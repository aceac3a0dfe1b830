import type { Clock, ConnectionChange, DenialReport, EventLog, ServerClock } from "@stepstream/event-log";
import type { AnyWorkflow } from "@stepstream/sdk";
import type { Gauges, LogIds, Telemetry } from "@stepstream/telemetry";
import type { ArchivedRun } from "./archived-run.ts";
import type { DelayQueue } from "./delay-queue.ts";
import type { Faults } from "./faults.ts";
import type { ForgottenAsks } from "./forgotten.ts";
import type { Pace } from "./pace.ts";
import type { StrandedCommands } from "./stranded.ts";
import type { Removed } from "./swept.ts";
import type { Turns } from "./turns.ts";

/** What a coordinator tells about its work. */
export type CoordinatorTelemetry = Pick<Telemetry, "traceOf" | "decisions" | "parked" | "runEnded"> &
  Partial<Pick<Gauges, "partition" | "observe" | "repaired" | "swept">>;

/** What everything in the shell of one coordinator shares. */
export interface Deps {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly serverClock: ServerClock;
  /** This coordinator's own id: unique for each process. */
  readonly id: string;
  /** The coordinator has stopped, or begun again: what is still under way of it comes to nothing. */
  readonly isOver: () => boolean;
  /** A name for a mailbox. A run may have two in one process for a while, when it is handed on, or its partition is. */
  readonly newMailbox: () => string;
  /** The workflows it runs, by `<name>@<version>`. */
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  /** Another coordinator that runs a workflow, for a run of one that is not known here. */
  readonly hostOf: (workflow: string, run: string) => string | undefined;
  readonly turns: Turns;
  /** Loops that were stopped in this process: where, and in which workflows. */
  readonly loops: Set<string>;
  readonly faults: Pick<Faults, "add" | "of">;
  /** Calls back after `settings.deadlineAfterMs`. */
  readonly later: DelayQueue;
  readonly stranded: StrandedCommands;
  /** Of the auditor's reads, for all partitions together. */
  readonly pace: Pace;
  readonly telemetry: CoordinatorTelemetry;
  readonly emit: (event: CoordinatorEvent) => void;
  readonly forgotten: ForgottenAsks;
  /**
   * Warns of a transient error, of input that is ignored, or of a bug that was contained: once in 10 s for each `what` and
   * kind of error, with how many were held back since. So `what` names the kind, not the message; `run` is an example.
   */
  readonly warn: (what: string, error: unknown, run?: string) => void;
  readonly settings: Settings;
  /** Keeps the history of a run that is about to be removed. Absent: this coordinator has no archive. */
  readonly archive: ((run: ArchivedRun) => Promise<void> | void) | undefined;
}

/** All in milliseconds, but for the counts. */
export interface Settings {
  /** Silence after which an inbox message goes to another coordinator. */
  ackWaitMs: number;
  /** How long cancelled slots have to answer before they are abandoned. */
  graceMs: number;
  /** Timers up to here are kept in memory, on an inbox message that stays unacknowledged. */
  shortTimerMs: number;
  /** A slot that is older gets its deadline stored as a durable timer. */
  deadlineAfterMs: number;
  /** A run without news for so long is dropped from memory. */
  idleMs: number;
  /** Runs in memory, per partition; the longest idle go first. */
  hotRuns: number;
  /** Inbox messages of a partition in hand at a time. */
  inFlight: number;
  /** How often parked runs are tried again. */
  unparkMs: number;
  /**
   * How often at least what runs wait for is compared with what is stored: commands, timers, children. It is done more often where
   * there is little to compare, and where too little is stored. 0: never, to measure what it costs.
   */
  auditMs: number;
  /** How often presence is said; a coordinator unheard of for three times that is gone. */
  presenceMs: number;
  /** How often ended runs are removed, if the namespace has a retention. */
  retentionMs: number;
  /** At most so many of them in a second. */
  removalsPerSecond: number;
}

export const DEFAULTS: Settings = {
  ackWaitMs: 5_000,
  graceMs: 10_000,
  shortTimerMs: 3_000,
  deadlineAfterMs: 5_000,
  idleMs: 30_000,
  hotRuns: 5_000,
  inFlight: 1_000,
  unparkMs: 30_000,
  auditMs: 30_000,
  presenceMs: 1_000,
  retentionMs: 60_000,
  removalsPerSecond: 100,
};

/** How the workflows of a coordinator are told from each other. */
export function keyOf({ workflow, version }: { workflow: string; version: number }): string {
  return `${workflow}@${version}`;
}

/** What a coordinator does, for logs and tests. */
export type CoordinatorEvent =
  | { type: "partition"; partition: number; owned: boolean }
  | { type: "decided"; run: string; upTo: number; events: readonly string[] }
  | { type: "rebuilt"; run: string; messages: number }
  | { type: "moved"; run: string }
  | { type: "parked"; run: string; error: Error; trace?: LogIds | undefined }
  | { type: "unparked"; run: string }
  | {
      /** A message that a timer has fired came before the timer's time; it changed nothing, and the timer is armed. */
      type: "early";
      run: string;
      slot: number;
      /** The inbox message. */
      seq: number;
      at: number;
      fireAt: number;
    }
  | {
      /** Work that the workflow function had asked for was still open when it ended, and was cancelled. */
      type: "forgotten";
      run: string;
      workflow: string;
      /** "step charge", "a timer", "signal approve". */
      what: string;
      slot?: number | undefined;
      /** Where the code asked for it: `file:line:column`; undefined where that cannot be found out. */
      position: string | undefined;
    }
  | { type: "dead"; subject: string; error: Error }
  | { type: "handedOn"; run: string; to: string }
  /**
   * Its code blocked the event loop for `ms` and was stopped; the coordinator starts again from the log. `query`: it was
   * the handler of that query, and the run goes on.
   */
  | { type: "stopped"; run: string; ms: number; where: string; query?: string }
  /** Code in this process was stopped; the coordinator has started again, on a new connection. */
  | { type: "restarted" }
  /** Code that is no workflow's blocks the event loop, or has: then it is `over`. It is not stopped. */
  | { type: "blocked"; ms: number; where: string; over: boolean }
  /** What a run waited for was gone from the log, and is stored again. */
  | { type: "repaired"; run: string; missing: readonly string[] }
  /** What no slot of a run had use for is removed: it was over, or deleted, or a crash of the server had brought that back. */
  | { type: "swept"; run: string; removed: Removed }
  /** Ended runs were removed, as the namespace's retention says. */
  | { type: "removed"; runs: number; archived: boolean }
  | { type: "peers"; peers: readonly string[] }
  /** Streams were lost with all that was in them, and exist again, empty. Without EVENTS no run is left. */
  | { type: "lost"; streams: readonly string[] }
  /** nats-server does not permit something: once in 10 s for each permission, with how often it was denied meanwhile. */
  | ({ type: "denied" } & DenialReport)
  /** The machine's clock is wrong by so much, compared with the server's; 0: it is right again. Timers go by the server's. */
  | { type: "clock"; aheadMs: number }
  | { type: "trouble"; what: string; error: unknown; run?: string }
  /** The connection to the log has changed. After `closed` the coordinator starts again, on a new one. */
  | ({ type: "connection" } & ConnectionChange);

/** A loss of streams, in words. */
export function toldLoss({ streams }: { streams: readonly string[] }): string {
  return `streams were lost with all that was in them, and exist again, empty: ${streams.join(", ")}`;
}

/** Thrown through everything that is under way when a run is let go; never seen outside. */
export class Released extends Error {}
