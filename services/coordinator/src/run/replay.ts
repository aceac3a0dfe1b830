import {
  type Decision,
  type InboxMessage,
  type NonDeterminismError,
  RunId,
  type StalledError,
} from "@stepstream/contracts";
import type { AnyWorkflow } from "@stepstream/sdk";
import { RunExecution } from "./execution.ts";
import { guardGlobals } from "./globals.ts";
import { finishTurn } from "./turn.ts";

/** A run as it is stored. `run.history()` has the same in one list. */
export interface RecordedRun {
  readonly run: string;
  /** What came in, by stream sequence. */
  readonly inbox: readonly { readonly seq: number; readonly at: number; readonly message: InboxMessage }[];
  /** What was decided, by stream sequence. */
  readonly decisions: readonly Decision[];
}

/**
 * Would this code decide what was decided? Runs the workflow against a recorded history, with nothing but that:
 * no bus, no steps. Makes sure, before a deploy, that the runs that are under way can go on.
 *
 * @param workflow - The code to check: the workflow that the run is of, in the version it was started with.
 * @returns Why not; undefined if it would.
 */
export async function replayRun(
  workflow: AnyWorkflow,
  { run, inbox, decisions }: RecordedRun,
): Promise<NonDeterminismError | StalledError | undefined> {
  RunId.parse(run);
  guardGlobals();
  const fault = await replay(workflow, { run, inbox, decisions });
  if (!fault) return undefined;
  // A run that nobody could handle may have been ended by force: then the code had no say in its end.
  const [end, ...more] = decisions.at(-1)?.events ?? [];
  if (end?.type !== "RunTerminated" || more.length > 0) return fault;
  return replay(workflow, { run, inbox, decisions: decisions.slice(0, -1) });
}

async function replay(workflow: AnyWorkflow, { run, inbox, decisions }: RecordedRun) {
  const events = decisions.flatMap((decision) => decision.events);
  const upTo = decisions.at(-1)?.upTo ?? 0;
  const execution = new RunExecution(run, workflow, events, upTo);
  for (const { seq, at, message } of inbox) {
    if (seq > upTo) break;
    execution.fold(seq, at, message);
    const extra = await finishTurn(execution, () => new Promise((resolve) => setImmediate(resolve)));
    if (extra.length > 0) execution.checkReplayed(extra);
    if (execution.fault) return execution.fault;
  }
  execution.checkReplayed([]);
  return execution.fault;
}
