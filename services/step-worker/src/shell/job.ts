import type { RunStep, Where } from "@stepstream/contracts";
import type { Standing } from "../attempt/standing.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { Deps } from "./deps.ts";
import type { Held } from "./held.ts";
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
}
