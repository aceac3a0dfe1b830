import type { Clock, EventLog } from "@stepstream/event-log";
import type { BreakerState } from "./breaker.ts";
import type { Cancels } from "./cancels.ts";
import type { Logger } from "./logger.ts";
import type { Pulse } from "./pulse.ts";
import type { WorkerTelemetry } from "./telemetry.ts";

/** What everything in the shell of one worker shares. */
export interface Deps {
  readonly log: EventLog;
  readonly clock: Clock;
  /** For people. */
  readonly name: string;
  readonly telemetry: WorkerTelemetry;
  readonly logger: Logger;
  readonly cancels: Cancels;
  readonly pulse: Pulse;
  readonly settings: Settings;
  readonly emit: (event: WorkerEvent) => void;
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

export const DEFAULTS: Settings = { ackWaitMs: 10_000, cleanUpMs: 5_000, drainMs: 30_000 };

/** The command that something happened to. */
export interface Place {
  run: string;
  step: string;
  slot: number;
  attempt: number;
}

/** What a worker does, for logs and tests. */
export type WorkerEvent =
  | ({ type: "attempt" } & Place)
  | ({ type: "completed" } & Place)
  | ({ type: "retrying"; delayMs: number; via: "queue" | "inbox"; error: unknown } & Place)
  | ({ type: "failed"; error: unknown } & Place)
  | ({ type: "cancelled" } & Place)
  /** Given back without an attempt used up: the breaker is open, the worker shuts down. */
  | ({ type: "handed-back"; error: Error } & Place)
  /** Another worker has the slot: nothing was acked and nothing nak'ed. */
  | ({ type: "superseded" } & Place)
  /** The slot had its outcome already: the command was only acked. */
  | ({ type: "settled" } & Place)
  /** Its handler ignored its signal; the promise was left behind. */
  | ({ type: "left-behind" } & Place)
  | { type: "dead"; subject: string; error: Error }
  | { type: "breaker"; step: string; breaker: string; state: BreakerState }
  | { type: "trouble"; what: string; error: unknown };
