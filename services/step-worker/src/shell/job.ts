import type { RunStep, Where } from "@stepstream/contracts";
import { type AttemptSpan, idsOfTrace, type LogIds } from "@stepstream/telemetry";
import type { Standing } from "../attempt/standing.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { Deps } from "./deps.ts";
import type { Held } from "./held.ts";
import type { Alone } from "./isolation.ts";
import type { Served } from "./lane.ts";

/** A command that has been read and looked into: who is to do it, and where its slot stands. */
export interface Job {
  readonly deps: Deps;
  readonly served: Served;
  readonly held: Held;
  readonly command: RunStep;
  readonly at: Standing;
  /** Run, step, slot and the number of the attempt that comes next. */
  readonly where: Where;
  readonly records: AttemptLog;
  /** It is a suspect, and has the process to itself. */
  readonly alone: Alone | undefined;
  /** Once an attempt was begun. */
  span: AttemptSpan | undefined;
  /** Once its handler was started: which start that is, as its outcome says, and when by this process' clock. */
  start: { readonly mark: string; readonly at: number } | undefined;
  /** Of the slot, as this worker reports it: on its way to the inbox, or in it. */
  outcome: "sent" | "stored" | undefined;
}

/** What log lines about it bear: of its attempt's span, or of its run's trace, if it is in one. */
export function idsOf({ span, command }: Job): LogIds | undefined {
  return span?.ids ?? idsOfTrace(command.trace);
}
