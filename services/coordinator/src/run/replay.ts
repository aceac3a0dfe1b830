import type { AnyWorkflow } from "@stepstream/sdk";
import type { Fault } from "./execution.ts";
import { type RecordedRun, walkRun, withoutForcedEnd } from "./walk.ts";

export type { RecordedRun } from "./walk.ts";

/**
 * Would this code decide what was decided? Runs the workflow against a recorded history, with nothing but that:
 * no bus, no steps. Makes sure, before a deploy, that the runs that are under way can go on.
 *
 * @param workflow - The code to check: the workflow that the run is of, in the version it was started with.
 * @returns Why not; undefined if it would.
 */
export async function replayRun(workflow: AnyWorkflow, recorded: RecordedRun): Promise<Fault | undefined> {
  const fault = await replay(workflow, recorded);
  const rest = fault && withoutForcedEnd(recorded);
  return rest ? replay(workflow, rest) : fault;
}

async function replay(workflow: AnyWorkflow, recorded: RecordedRun) {
  const upTo = recorded.decisions.at(-1)?.upTo ?? 0;
  const inbox = recorded.inbox.filter(({ seq }) => seq <= upTo);
  for await (const { fault } of walkRun(workflow, { ...recorded, inbox }, { positions: false }))
    if (fault) return fault;
  return undefined;
}
