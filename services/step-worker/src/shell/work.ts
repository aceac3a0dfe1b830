import {
  CircuitOpenError,
  fromFailure,
  type InvalidInputError,
  InvariantError,
  type MalformedMessageError,
  type RunStep,
  toFailure,
  WorkerLostError,
} from "@stepstream/contracts";
import { checkOverdue, overdue } from "../attempt/deadline.ts";
import { readCommand, readInput } from "../attempt/payload.ts";
import { firstStanding, isSuspect, type Standing } from "../attempt/standing.ts";
import { outOfTime } from "../attempt/verdict.ts";
import { type Attempted, attempt, handBack } from "./attempt.ts";
import { AttemptLog } from "./attempt-log.ts";
import type { Breaker } from "./breaker.ts";
import type { Deps } from "./deps.ts";
import type { Held } from "./held.ts";
import type { Alone } from "./isolation.ts";
import type { Job } from "./job.ts";
import type { Served } from "./lane.ts";
import { isSettled, isStale, lookUp, mayHaveBeenTaken, outcomeOf, stillOpen } from "./look-up.ts";
import { bury, cancelled, failed, givenUp, postponed, settled, superseded, violated } from "./report.ts";
import { isDoubtful, isOfStart, startedTwice } from "./second-start.ts";
import { attemptAlone, recordAlone, untilAlone } from "./suspect.ts";
import { tell } from "./tell.ts";

/**
 * From a command to its end: read → look → refuse or run → judge → store → ack.
 *
 * K1. Every command that is taken up ends in an ack, a nak, or (another worker has it, this one stopped) in
 *     silence, upon which it comes again.
 * K2. Nothing is said by a worker that may have lost the command before it has looked for an outcome.
 * K3. A command that cannot be read, or whose input does not fit, is buried and reported: it blocks nothing.
 *
 * K1 is asserted when the work is over ("work K1" in lane.ts). A promise that does not hold fails the step, and nothing
 * else of this process.
 *
 * Checked elsewhere:
 *   K2  ../../test/worker.test.ts: that was frozen while another did its work reports no outcome
 *   K3  ../../test/worker.test.ts: is buried with the path of its fault, and its run is told
 */
export async function work(deps: Deps, served: Served, held: Held): Promise<void> {
  const { subject, seq, text } = held.delivery;
  let command: RunStep;
  try {
    command = readCommand(deps.log.subjects, subject, seq, text);
  } catch (error) {
    return refuseUnreadable(deps, held, error as MalformedMessageError);
  }
  let job = jobOf(deps, served, held, command, firstStanding(command));
  let alone: Alone | undefined;
  try {
    if (mayHaveBeenTaken(deps, held, command)) {
      let known = await lookUp(deps, held, command);
      if (known && isSuspect(known)) {
        alone = await untilAlone(deps, known, job.where);
        known = await lookUp(deps, held, command);
      }
      if (!known) return settled(job);
      job = jobOf(deps, served, held, command, known, alone);
    }
    await handle(job);
  } catch (error) {
    if (error === deps.stopping.reason) return held.nak(0);
    if (!(error instanceof InvariantError)) throw error;
    // Nothing is said either before another's outcome was looked for.
    if (job.outcome === undefined && held.isSuspect() && (await isSettled(deps, command))) return settled(job);
    await violated(job, error);
  } finally {
    alone?.end();
  }
}

function jobOf(deps: Deps, served: Served, held: Held, command: RunStep, at: Standing, alone?: Alone): Job {
  const { run, step, slot } = command;
  const where = { run, step, slot, attempt: at.attempt };
  const records = new AttemptLog(deps, run, slot, held.delivery.deliveries, at);
  return {
    deps,
    served,
    held,
    command,
    at,
    where,
    records,
    alone,
    span: undefined,
    start: undefined,
    outcome: undefined,
  };
}

function handle(job: Job): Promise<void> | void {
  const { deps, command, at, where } = job;
  const { run, slot } = command;
  if (at.next === "fail") return failed(job, fromFailure(at.last!.error), at.last!.attempt, at.last!.error);
  if (at.next === "postpone") return postponed(job, at.attempt, at.delayMs);
  if (at.next === "lost") return givenUp(job, new WorkerLostError(where, at.alone));
  return deps.cancels.reason(run, slot, command.after) === undefined ? begin(job) : cancelled(job);
}

function begin(job: Job): Promise<void> {
  return job.alone || isStale(job.deps, job.held) ? beginLater(job) : start(job);
}

async function beginLater(job: Job): Promise<void> {
  const { deps, held, command } = job;
  if (job.alone && !(await recordAlone(job))) return superseded(job);
  if (isStale(deps, held)) {
    const now = await stillOpen(deps, held, command, job.records.lastSeq);
    if (now === "settled") return settled(job);
    if (now === "moved") return superseded(job);
  }
  return start(job);
}

/** Up to the call of the handler nothing is awaited. */
function start(job: Job): Promise<void> {
  const { deps, served, held, command, at, where } = job;
  const late = overdue(command, at.attempt, held.delivery.deliveries, deps.log.serverNow());
  if (late) {
    checkOverdue(late, at.attempt, held.delivery.deliveries, where);
    const { last } = at;
    return failed(job, outOfTime(late.kind, late.ms, where, last && fromFailure(last.error)), last?.attempt);
  }
  let input: unknown;
  try {
    input = readInput(served.step, command.input, where);
  } catch (error) {
    return givenUp(job, error as InvalidInputError);
  }
  const attempted = served.breaker ? attemptBehind(served.breaker, job, input) : attemptIt(job, input);
  return attempted.then((done) => done && conclude(job, done));
}

function attemptIt(job: Job, input: unknown): Promise<Attempted> {
  return job.alone ? attemptAlone(job, input, job.alone) : attempt(job, input);
}

/** @returns undefined if its breaker is open: then it was handed back. */
async function attemptBehind(breaker: Breaker, job: Job, input: unknown): Promise<Attempted | undefined> {
  const admission = breaker.enter();
  if (!admission) {
    const { name, cooldownMs } = breaker.policy;
    const error = new CircuitOpenError(name, job.command.step);
    await handBack(job, job.at.details, error, breaker.leftMs() || Math.min(cooldownMs, 1_000));
    return undefined;
  }
  let attempted: Attempted | undefined;
  try {
    attempted = await attemptIt(job, input);
  } finally {
    breaker.report(admission, attempted?.health ?? "unknown");
  }
  return attempted;
}

function conclude(job: Job, attempted: Attempted): Promise<void> {
  return isDoubtful(job) ? concludeUnlessSettled(job, attempted) : attempted.conclude();
}

/** After a stall, a cut of the connection, an earlier delivery: another worker may have had it meanwhile. */
async function concludeUnlessSettled(job: Job, attempted: Attempted): Promise<void> {
  const other = await outcomeOf(job.deps, job.command);
  if (!other) return attempted.conclude();
  if (isOfStart(other)) await startedTwice(job);
  return settled(job);
}

/** Its subject still says whose it is, so that the run can end. */
async function refuseUnreadable(deps: Deps, held: Held, error: MalformedMessageError): Promise<void> {
  await bury(deps, held, error);
  const parts = deps.log.subjects.parse(held.delivery.subject);
  if (parts?.step && Number.isInteger(parts.slot)) {
    const { run, slot, step } = parts;
    const message = { v: 1, type: "StepFailed", slot, step, attempt: 1, error: toFailure(error) };
    await tell(deps, run, JSON.stringify(message), `${run}.${slot}.${held.delivery.seq}.unreadable`);
  }
  held.ack();
}
