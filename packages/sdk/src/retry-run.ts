import {
  checkId,
  fromWire,
  InvalidInputError,
  RunAlreadyExistsError,
  RunNotFoundError,
  RunNotRetriedError,
} from "@stepstream/contracts";
import type { Clock, EventLog } from "@stepstream/event-log";
import { endOf, lastDecision, stateOf, upToOf } from "./run-status.ts";
import { readStart, startRun, untilAnswered } from "./start-run.ts";
import type { AnyWorkflow } from "./workflow.ts";

const MAX_ID = 64;

/**
 * Starts a run again that failed, was cancelled or was terminated: another run of the same workflow and version, with the
 * same input, time-out and baggage. What the first one did is not undone, and its history stays.
 *
 * Y1. Doing it again starts nothing more: the new run's id is that of the end which it follows.
 *
 * @param id - Of the new run. Default: that of the old one, `-retry-` and the sequence of its end.
 * @returns The new run, and the stream sequence of its start.
 * @throws {RunNotRetriedError} It is not over, has completed, or is a child; nothing was started.
 * @throws {RunAlreadyExistsError} There is a run with that `id`, and it is not of this workflow.
 * @throws {RunNotFoundError} There is no such run.
 *
 * Checked elsewhere:
 *   Y1  test/e2e/bulk.test.ts: is started again with its input, once for each end
 */
export async function retryRun(
  { log, clock }: { log: EventLog; clock: Clock },
  run: string,
  options: { id?: string | undefined; patienceMs?: number | undefined } = {},
): Promise<{ id: string; seq: number; workflow: string; version: number }> {
  const { patienceMs } = options;
  const look = <T>(act: () => Promise<T>) => untilAnswered(clock, `look at run ${run}`, act, patienceMs);
  const [last, first] = await Promise.all([
    look(() => lastDecision(log, run, { fresh: true })),
    look(() => readStart(log, run, { fresh: true })),
  ]);
  if (!first || first.stray !== undefined) throw new RunNotFoundError(run, log.subjects.namespace);
  const { started, stored } = first;
  const end = last && upToOf(last) >= stored.seq ? endOf(last) : undefined;
  if (!started) throw new RunNotRetriedError(run, "the message that started it cannot be read");
  if (!last || !end) throw new RunNotRetriedError(run, "it is not over");
  if (end.type === "RunCompleted") throw new RunNotRetriedError(run, `it has ${stateOf(end)}`);
  if (started.parent) throw new RunNotRetriedError(run, `it is a child of run ${started.parent.run}: retry that one`);
  const input = fromWire(undefined, started.input);
  if (!input.ok) throw new InvalidInputError(`workflow "${started.workflow}"`, input.path, input.message, { run });
  const { id = idAfter(run, last.seq) } = options;
  checkId("id of a run", id);
  const { workflow: name, version, timeoutMs, baggage } = started;
  const extra = { ...(timeoutMs !== undefined && { timeoutMs }), ...(baggage && { baggage }) };
  // Its schema is that of its code: the input has passed it once.
  const workflow = { name, version, input: undefined } as unknown as AnyWorkflow;
  try {
    const { seq } = await startRun({ log, clock }, workflow, input.value, {
      run: id,
      onConflict: options.id === undefined ? "attach" : "reject",
      patienceMs,
      extra,
    });
    return { id, seq, workflow: name, version };
  } catch (error) {
    if (error instanceof RunAlreadyExistsError && id === run)
      throw new RunNotRetriedError(run, "its id is its own: use another one for the new run");
    throw error;
  }
}

/** A run that was started by a retry is not called after all of them. */
function idAfter(run: string, endSeq: number): string {
  const suffix = `-retry-${endSeq}`;
  return `${run.replace(/-retry-\d+$/, "").slice(0, MAX_ID - suffix.length)}${suffix}`;
}
