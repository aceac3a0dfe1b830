import { StalledError } from "@stepstream/contracts";
import { type Blocked, type Frame, placeOf, type Watch, watchEventLoop } from "@stepstream/watchdog";
import type { RunExecution } from "./execution.ts";
import { OWN } from "./positions.ts";
import { forgetWhose, whoseCode, whoseWereStopped } from "./whose.ts";

/** @param advice - What to do, and what comes of the run. */
export function loopError(run: string, ms: number, where: string, advice: string): StalledError {
  const seconds = `${(ms / 1_000).toFixed(1)} s`;
  const why = `its workflow code blocked the event loop for ${seconds} and was stopped at ${where}.`;
  return new StalledError(run, why, advice);
}

/**
 * Stops workflow code that never gives the event loop back, where it is run for a look or a test. What was under way in
 * this process may be lost then: nothing but `onStopped` can be relied on.
 *
 * @param owns - Is this execution one to stop?
 * @param onStopped - Called once the event loop turns again.
 */
export function watchWorkflowCode(
  owns: (execution: RunExecution) => boolean,
  onStopped: (error: StalledError, frames: readonly Frame[]) => void,
): Watch {
  let found: { error: StalledError; frames: readonly Frame[] } | undefined;
  const stop = (execution: RunExecution, { ms, frames }: Blocked) => {
    const advice = "End the loop, or move long work into a step.";
    found = { error: loopError(execution.runId, ms, placeOf(frames, OWN), advice), frames };
    execution.stop(found.error);
    forgetWhose();
  };
  const told = () => {
    if (found) onStopped(found.error, found.frames);
    found = undefined;
  };
  return watchEventLoop({
    suspect: () => {
      const execution = whoseCode()?.execution;
      if (!execution || !owns(execution)) return undefined;
      return { what: execution.runId, stop: (blocked) => stop(execution, blocked) };
    },
    stoppedOverflown: (blocked) => {
      const whose = whoseWereStopped().find(({ execution }) => owns(execution));
      if (whose) stop(whose.execution, blocked);
      // At once: it is over already, and what waits for it might give up before it is told.
      told();
      return whose !== undefined;
    },
    onStopped: told,
  });
}
