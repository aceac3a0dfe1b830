import type { RunExecution } from "./execution.ts";
import type { Decided } from "./recorder.ts";

/**
 * Sees a turn through that `fold` or `resume` has begun: waits for the macrotasks that it takes (nearly always one).
 *
 * @param macrotask - Resolves in the next macrotask, when all microtasks of workflow code have run.
 * @returns What was decided.
 */
export async function finishTurn(run: RunExecution, macrotask: () => Promise<void>): Promise<Decided[]> {
  await macrotask();
  while (run.advance()) await macrotask();
  return run.endTurn();
}
