import type { AttemptRecord } from "@stepstream/contracts";
import { DeclaredError, InvalidInputError, StepCancelledError, tamed, toFailure } from "@stepstream/contracts";
import type { AttemptSpan } from "@stepstream/telemetry";
import { checkStart } from "../attempt/deadline.ts";
import { checkCall, writeOutput } from "../attempt/payload.ts";
import { judge, type Verdict } from "../attempt/verdict.ts";
import { createContext } from "./context.ts";
import { idsOf, type Job } from "./job.ts";
import { cancelled, completed, failed, postponed, superseded } from "./report.ts";
import { type Ended, Running } from "./running.ts";

/** What came of an attempt: what it says about the health of what the handler calls, and what is to be done. */
export interface Attempted {
  health: "good" | "bad" | "unknown";
  conclude(): Promise<void>;
}

/**
 * Makes one attempt and judges how it ended. The reasons, strongest first:
 *
 *   it returned in time and its output fits   completed, even if it was cancelled meanwhile
 *   it was cancelled                          cancelled, whatever it threw
 *   another worker has the command            nothing: what it threw then is no outcome of the step
 *   its time was over                         a failed attempt, whatever it threw or returned
 *   its worker shuts down                     handed back, no attempt used up
 *   it threw                                  a failed attempt
 */
export function attempt(job: Job, input: unknown): Promise<Attempted> {
  const { deps, served, held, command, at, where } = job;
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const running = new Running(job, resolve);
  const context = createContext(job, running);
  checkStart(command, running.startedAtMs, running.deadline, where);
  checkCall(deps.log.subjects, held.delivery.subject, input, where);
  held.running = running;
  held.attemptEndsAt = running.endsAt;
  job.start = { mark: deps.newMark(), at: deps.clock.now() };
  deps.pulse.sooner(running.dueAt());
  deps.emit({ type: "attempt", ...where });
  const { deliveries } = held.delivery;
  const span = deps.telemetry.attempt(command, where.attempt, {
    deliveries,
    backoffMs: at.last?.delayMs,
    now: running.startedAtMs,
  });
  job.span = span;
  running.start(() => span.run(async () => served.handler(input, context)));
  return promise.then((ended) => judged(job, running, span, ended));
}

function judged(job: Job, running: Running, span: AttemptSpan, ended: Ended): Attempted {
  const { deps, served, held, command, where } = job;
  held.running = undefined;
  held.attemptEndsAt = 0;
  if (ended.how === "leftBehind") deps.emit({ type: "left-behind", ...where, trace: idsOf(job) });

  let error: unknown = ended.how === "threw" ? ended.error : undefined;
  if (ended.how === "returned" && !running.timedOut) {
    try {
      const output = writeOutput(served.step, ended.value, where);
      span.end({ how: "completed" });
      return { health: "good", conclude: () => completed(job, output) };
    } catch (invalid) {
      error = invalid;
    }
  }
  if (running.cancelled) {
    span.end({ how: "cancelled" });
    return { health: "unknown", conclude: () => cancelled(job) };
  }
  if (running.superseded) {
    span.end({ how: "handedBack" });
    return { health: "unknown", conclude: () => superseded(job) };
  }
  if (running.timedOut) error = running.timedOut;
  else if (running.draining) {
    const why = new StepCancelledError(where, "worker is shutting down");
    span.end({ how: "handedBack" });
    return { health: "unknown", conclude: () => handBack(job, running.details, why, 0) };
  }
  const { clock } = deps;
  const draw = clock.random();
  const { retryIf } = served.step;
  let verdict: Verdict;
  try {
    verdict = judge({ error, attempt: where.attempt, now: deps.log.serverNow(), draw, retryIf }, command);
  } catch (violated) {
    span.end({ how: "failed", error: violated, retryInMs: undefined });
    throw violated;
  }
  // The step's own opinion has had it as it is. All others may read it, and its causes, without harm.
  error = tamed(error);
  if (verdict.next === "fail") verdict.error = tamed(verdict.error);
  span.end({ how: "failed", error, retryInMs: verdict.next === "retry" ? verdict.delayMs : undefined });
  return { health: healthOf(error), conclude: () => afterFailure(job, running.details, error, verdict) };
}

/** A declared error is an answer; an input that does not fit says nothing about whom it was not sent to. */
function healthOf(error: unknown): Attempted["health"] {
  if (error instanceof DeclaredError) return "good";
  return error instanceof InvalidInputError ? "unknown" : "bad";
}

async function afterFailure(job: Job, details: unknown, error: unknown, verdict: Verdict): Promise<void> {
  const { deps, held, where, records } = job;
  const { slot, step, attempt } = where;
  if (verdict.next === "fail") return failed(job, verdict.error);
  const { delayMs, via } = verdict;
  const failure = toFailure(error);
  const record: AttemptRecord = { v: 1, type: "AttemptFailed", slot, step, attempt, error: failure, delayMs, details };
  if (!(await records.append(record))) return superseded(job);
  if (via === "inbox") await postponed(job, attempt + 1, delayMs);
  else held.nak(delayMs);
  deps.emit({ type: "retrying", ...where, delayMs, via, error, trace: idsOf(job) });
}

/** Gives a command back without using up an attempt. The record tells it from one that killed its worker. */
export async function handBack(job: Job, details: unknown, error: Error, delayMs: number): Promise<void> {
  const { deps, held, where, records } = job;
  const { slot, step, attempt } = where;
  const record: AttemptRecord = { v: 1, type: "AttemptHeartbeat", slot, step, attempt, details, handedBack: true };
  if (!(await records.append(record))) return superseded(job);
  held.nak(delayMs);
  deps.emit({ type: "handed-back", ...where, error, trace: idsOf(job) });
}
