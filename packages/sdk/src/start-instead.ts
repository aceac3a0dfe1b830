import { RunAlreadyExistsError, RunClosedError, RunNotFoundError, RunStillGoingError } from "@stepstream/contracts";
import { deleteRun } from "./delete-run.ts";
import { type HandleContext, RunHandle } from "./run-handle.ts";
import { type Start, startRun } from "./start-run.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** Others may start the same id meanwhile; each time the one that is there is put an end to. */
const TRIES = 5;

/**
 * Starts a run in the place of one that may have its id: that one is terminated if it is still going, and deleted.
 * The new one numbers its slots on, so that no late result of the old one fits.
 *
 * @param signal - Aborts when the caller no longer waits. Nothing is terminated or deleted after that: another start of the
 * same id may have succeeded, and its run must not be replaced by a call that has failed.
 *
 * Not one step: a caller that dies in between has ended the old run and not started the new one. Doing it again is safe.
 *
 * @throws {RunAlreadyExistsError} Others kept starting the same id.
 */
export async function startInstead(
  context: HandleContext,
  workflow: AnyWorkflow,
  input: unknown,
  start: Omit<Parameters<typeof startRun>[3], "onConflict">,
  signal: AbortSignal,
): Promise<Start> {
  const { run, patienceMs } = start;
  let slots: number | undefined;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const extra = { ...start.extra, ...(slots === undefined ? {} : { slots }) };
    try {
      return await startRun(context, workflow, input, { ...start, extra, onConflict: "reject" });
    } catch (error) {
      if (!(error instanceof RunAlreadyExistsError) || attempt === TRIES) throw error;
    }
    signal.throwIfAborted();
    try {
      await new RunHandle(context, run).terminate({
        reason: "another is started in its place",
        signal,
        ...(patienceMs === undefined ? {} : { timeout: patienceMs }),
      });
    } catch (error) {
      if (!(error instanceof RunClosedError || error instanceof RunNotFoundError)) throw error;
    }
    signal.throwIfAborted();
    try {
      slots = Math.max(slots ?? 0, (await deleteRun(context, run, { signal, patienceMs })).slots);
    } catch (error) {
      if (!(error instanceof RunStillGoingError || error instanceof RunNotFoundError)) throw error;
    }
  }
}
