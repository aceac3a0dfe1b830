import { type Failure, type InvariantError, invariant, type StepstreamError, toFailure } from "@stepstream/contracts";
import { bury as buryIn } from "@stepstream/event-log";
import { withError } from "../attempt/fitting.ts";
import type { Deps, WorkerEvent } from "./deps.ts";
import type { Held } from "./held.ts";
import { idsOf, type Job } from "./job.ts";
import { retrying } from "./retrying.ts";
import { onDisplaced, startedTwice } from "./second-start.ts";
import { tell } from "./tell.ts";

/**
 * What a worker says about a slot.
 *
 * W1. Store first, then ack: what is acked has its outcome in the inbox.
 * W2. An attempt has one outcome, and one message id for it, whoever says it and however often.
 *
 * Asserted round each outcome that is stored ("report W1", "report W2").
 */

/** @param output - JSON; empty for none. It has been JSON already when it was checked, and is not written again. */
export function completed(job: Job, output: string): Promise<void> {
  const { slot, step, attempt } = job.where;
  const head = `{"v":1,"type":"StepCompleted","slot":${slot},"step":"${step}","attempt":${attempt},"after":${job.command.after},"start":"${job.start!.mark}"`;
  const text = output === "" ? `${head}}` : `${head},"output":${output}}`;
  return conclude(job, attempt, text, { type: "completed", ...job.where });
}

/** @param attempt - The one that failed for good: the last that was made, if none is to come. */
export function failed(job: Job, error: unknown, attempt = job.where.attempt, as?: Failure): Promise<void> {
  const { slot, step } = job.where;
  const { after } = job.command;
  const text = withError(`an outcome of step "${step}"`, as ?? toFailure(error), (failure) => {
    return { v: 1, type: "StepFailed", slot, step, attempt, after, start: job.start?.mark, error: failure };
  });
  return conclude(job, attempt, text, { type: "failed", ...job.where, attempt, error, trace: idsOf(job) });
}

export function cancelled(job: Job): Promise<void> {
  const { slot, step, attempt } = job.where;
  const { after } = job.command;
  const text = JSON.stringify({ v: 1, type: "StepCancelled", slot, step, attempt, after, start: job.start?.mark });
  return conclude(job, attempt, text, { type: "cancelled", ...job.where });
}

/** Has attempt `attempt` come back after a wait that is too long for the queue. */
export async function postponed(job: Job, attempt: number, delayMs: number): Promise<void> {
  const { run, slot, step } = job.where;
  const message = { v: 1, type: "RetryLater", slot, step, attempt, delayMs, after: job.command.after };
  await tell(job.deps, run, JSON.stringify(message), `${markOf(job)}.${attempt}.later`);
  job.held.ack();
}

/** Gives a command up that cannot be handled: a dead letter for people, and an outcome for its run. */
export async function givenUp(job: Job, error: StepstreamError & { path?: string }): Promise<void> {
  await bury(job.deps, job.held, error);
  await failed(job, error);
}

/** Another worker has the slot: no outcome is reported, and so the command comes again where it is not done. */
export async function superseded(job: Job): Promise<void> {
  const { deps, held, where } = job;
  held.leave();
  deps.emit({ type: "superseded", ...where });
  await startedTwice(job);
}

/**
 * A promise of the worker itself does not hold for this command: a bug of Stepstream. The step fails with it, so that its
 * run learns of it and can compensate: the same again would most likely come to the same, each time with the side effects
 * of another attempt. Where an outcome was stored before, that one stands.
 */
export async function violated(job: Job, error: InvariantError): Promise<void> {
  const { deps, held } = job;
  if (job.outcome === undefined) return givenUp(job, error);
  deps.warn("report an outcome", error, job.where.run);
  if (job.outcome === "stored") held.ack();
  else held.leave();
}

/** The slot has its outcome already. */
export function settled({ deps, held, where }: Pick<Job, "deps" | "held" | "where">): void {
  held.ack();
  deps.emit({ type: "settled", ...where });
}

/** @param said - Emitted once it is stored. */
function conclude(job: Job, attempt: number, text: string, said: WorkerEvent): Promise<void> {
  const { deps, held, where } = job;
  invariant(job.outcome === undefined, "report W2", where, "it has an outcome, and another is to be reported");
  job.outcome = "sent";
  return tell(deps, where.run, text, `${markOf(job)}.${attempt}.done`).then(({ seq, displacedBy }) => {
    invariant(seq > 0, "report W1", where, "its outcome is not stored, and its command was to be acknowledged");
    job.outcome = "stored";
    held.ack();
    deps.emit(said);
    return displacedBy === undefined ? undefined : onDisplaced(job, displacedBy);
  });
}

/** Tells the slot from one of the same number, of a run that had the id before and was deleted. */
function markOf({ where, command }: Job): string {
  return `${where.run}.${where.slot}.${command.after}`;
}

/** Keeps a command that cannot be handled, for as long as it takes. */
export async function bury(deps: Deps, held: Held, error: StepstreamError): Promise<void> {
  const { subject } = held.delivery;
  await retrying(deps, "keep a dead letter", () => buryIn(deps.log, held.delivery, error));
  deps.emit({ type: "dead", subject, error });
}
