import { isStopping } from "@stepstream/watchdog";
import type { RunExecution } from "./execution.ts";
import type { Decided } from "./recorder.ts";

/**
 * Sees a turn through that `fold` or `resume` has begun: waits for the macrotasks that it takes (nearly always one).
 *
 * @param macrotask - Resolves in the next macrotask, when all microtasks of workflow code have run.
 * @returns What was decided.
 */
export async function finishTurn(run: RunExecution, macrotask: () => Promise<void>): Promise<Decided[]> {
  do {
    await macrotask();
    // Code of this turn, or of another, was stopped in the middle: this turn has no end, as if its process had been killed.
    if (isStopping()) await new Promise<never>(() => {});
  } while (run.advance());
  return run.endTurn();
}
