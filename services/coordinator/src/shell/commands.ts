import type { Trace } from "@stepstream/contracts";
import { durationMs, LogUnavailableError, WrongLastSequenceError } from "@stepstream/contracts";
import type { RunOptions } from "@stepstream/sdk";
import type { RunExecution } from "../run/execution.ts";
import type { Slot, StepSlot } from "../run/slot.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** The command of a slot, as it goes to a worker. The input was JSON from the moment it was asked for. */
export function commandText(run: RunExecution, slot: Slot, step: StepSlot, trace: Trace | undefined): string {
  const { definition, options, inputText } = step;
  const head = JSON.stringify({
    v: 1,
    type: "RunStep",
    run: run.runId,
    workflow: run.workflow.name,
    slot: slot.slot,
    step: definition.name,
    attempt: slot.attempt,
    idempotencyKey: `${run.runId}/${slot.slot}`,
    retry: { ...definition.retry, ...retryOf(options) },
    timeout: timeoutOf(step),
    heartbeatMs: definition.heartbeatMs,
    scheduledAt: slot.scheduledAt,
    after: slot.after,
    trace,
  });
  return inputText === "" ? head : `${head.slice(0, -1)},"input":${inputText}}`;
}

/**
 * A command may be out, or may not. It may even have been run already and forgotten: message ids are remembered
 * for two minutes, and by a server that restarts only for messages it still holds. So nobody tries it again
 * blindly: the run is read, as after a takeover.
 */
export class UnansweredError extends Error {}

/**
 * Publishes a slot's command. A second coordinator that does it too does no harm: while the command is outstanding by
 * the fence, for two minutes after by its message id.
 *
 * @throws {UnansweredError} No answer came.
 */
export async function publishCommand(deps: Deps, run: RunExecution, slot: Slot, wanted: () => boolean): Promise<void> {
  const { log, telemetry } = deps;
  const step = slot.step!;
  const subject = log.subjects.command(step.definition.name, run.runId, slot.slot);
  const text = commandText(run, slot, step, telemetry.traceOf(run.started!, run.runId));
  const id = `${run.runId}.${slot.slot}.${slot.attempt}`;
  const publish = async () => {
    try {
      await log.append(subject, text, { expectLast: 0, id });
    } catch (error) {
      if (error instanceof LogUnavailableError) throw new UnansweredError(error.message, { cause: error });
      if (!(error instanceof WrongLastSequenceError)) throw error;
    }
  };
  const needed = () => wanted() && slot.state === "open";
  await retrying(deps, `publish the command of run ${run.runId}, slot ${slot.slot}`, publish, needed);
}

export function timeoutOf({ definition, options }: StepSlot) {
  const { attempt, total, queue } = options?.timeout ?? {};
  return {
    ...definition.timeout,
    ...(attempt === undefined ? {} : { attemptMs: durationMs(attempt) }),
    ...(total === undefined ? {} : { totalMs: durationMs(total) }),
    ...(queue === undefined ? {} : { queueMs: durationMs(queue) }),
  };
}

function retryOf(options: RunOptions | undefined) {
  const { maxAttempts, backoff } = options?.retry ?? {};
  return { ...(maxAttempts === undefined ? {} : { maxAttempts }), ...backoff };
}
