import type { Clock, ConnectionChange, DenialReport, EventLog } from "@stepstream/event-log";
import type { KeepAlive } from "@stepstream/event-log/jetstream";
import type { LogIds } from "@stepstream/telemetry";
import type { BreakerState } from "./breaker.ts";
import type { Cancels } from "./cancels.ts";
import type { Isolation } from "./isolation.ts";
import type { LoggerOption } from "./logger.ts";
import type { Pulse } from "./pulse.ts";
import type { WorkerTelemetry } from "./telemetry.ts";

/** What everything in the shell of one worker shares. */
export interface Deps {
  readonly log: EventLog;
  readonly clock: Clock;
  /** For people. */
  readonly name: string;
  readonly telemetry: WorkerTelemetry;
  readonly logger: LoggerOption;
  readonly cancels: Cancels;
  readonly pulse: Pulse;
  /** The process's. */
  readonly isolation: Isolation;
  /** Keeps commands alive while the event loop is blocked. Absent where it cannot. */
  readonly keepAlive: KeepAlive | undefined;
  readonly settings: Settings;
  readonly emit: (event: WorkerEvent) => void;
  /**
   * Warns of a transient error, of input that is ignored, or of a bug that was contained: once in 10 s for each `what` and
   * kind of error, with how many were held back since. So `what` names the kind, not the message; `run` is an example.
   */
  readonly warn: (what: string, error: unknown, run?: string) => void;
  /** When its connection to the log came about, the last time; epoch milliseconds by the server's clock. */
  readonly connectedAtMs: () => number;
  /** Names a start of a handler: no other start, of any worker, has the same. */
  readonly newMark: () => string;
  /** Aborts when the worker is told to stop. */
  readonly stopping: AbortSignal;
  /** False once the worker has stopped for good: what is still under way is left to others. */
  readonly alive: () => boolean;
}

/** All in milliseconds. */
export interface Settings {
  /** Silence after which a command goes to another worker, for steps without a heartbeat of their own. */
  ackWaitMs: number;
  /** How long a handler may go on after its time is up or its worker shuts down, before it is left behind. */
  cleanUpMs: number;
  /** How long `stop()` lets running attempts finish. */
  drainMs: number;
}

/** Draining and clean-up together fit the 30 s that Kubernetes gives by default, with some left to report the outcomes. */
export const DEFAULTS: Settings = { ackWaitMs: 10_000, cleanUpMs: 5_000, drainMs: 20_000 };

/** The command that something happened to. */
export interface Place {
  run: string;
  step: string;
  slot: number;
  attempt: number;
}

/** What log lines bear, if the run is in a trace. */
interface Traced {
  trace?: LogIds | undefined;
}

/** What a worker does, for logs and tests. */
export type WorkerEvent =
  | ({ type: "attempt" } & Place)
  | ({ type: "completed" } & Place)
  | ({ type: "retrying"; delayMs: number; via: "queue" | "inbox"; error: unknown } & Place & Traced)
  | ({ type: "failed"; error: unknown } & Place & Traced)
  | ({ type: "cancelled" } & Place)
  /** Given back without an attempt used up: the breaker is open, the worker shuts down. */
  | ({ type: "handed-back"; error: Error } & Place & Traced)
  /** Another worker has the slot: nothing was acked and nothing nak'ed. */
  | ({ type: "superseded" } & Place)
  /** Its handler was started twice, and neither start crashed: another worker has recorded an attempt, or an outcome. */
  | ({ type: "started-twice" } & Place & Traced)
  /** The slot had its outcome already: the command was only acked. */
  | ({ type: "settled" } & Place)
  /** Its handler ignored its signal; the promise was left behind. */
  | ({ type: "left-behind" } & Place & Traced)
  | { type: "dead"; subject: string; error: Error }
  | { type: "breaker"; step: string; breaker: string; state: BreakerState }
  /**
   * Code blocks the event loop for `ms` so far, or has: then it is `over`. Nothing else of this worker runs meanwhile. It
   * is not stopped. With the attempt whose code it is, where that is known.
   */
  | ({ type: "blocked"; ms: number; where: string; over: boolean } & Partial<Place>)
  /** nats-server does not permit something: once in 10 s for each permission, with how often it was denied meanwhile. */
  | ({ type: "denied" } & DenialReport)
  /** The machine's clock is wrong by so much, compared with the server's; 0: it is right again. Time-outs go by the server's. */
  | { type: "clock"; aheadMs: number }
  | { type: "trouble"; what: string; error: unknown }
  /** The connection to the log has changed. After `closed` the worker has stopped: it can do nothing any more. */
  | ({ type: "connection" } & ConnectionChange);
