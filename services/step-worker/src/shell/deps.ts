import type { Clock, EventLog } from "@stepstream/event-log";
import type { Cancels } from "./cancels.ts";
import type { WorkerEvent } from "./events.ts";
import type { Stalls } from "./stalls.ts";
import type { WorkerTelemetry } from "./telemetry.ts";

/** What everything in the shell of one worker shares. */
export interface Deps {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly name: string;
  readonly emit: (event: WorkerEvent) => void;
  readonly telemetry: WorkerTelemetry;
  readonly cancels: Cancels;
  readonly stalls: Stalls;
  /** How long an aborted handler has to end, in milliseconds. */
  readonly cleanUpMs: number;
  /** True once the worker has been stopped and what is left is only to be given back. */
  readonly stopping: () => boolean;
}
