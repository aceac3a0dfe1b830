import type { AttemptRecord } from "@stepstream/contracts";
import { DeclaredError, InvalidInputError, StepCancelledError, toFailure } from "@stepstream/contracts";
import { writeOutput } from "../attempt/payload.ts";
import { judge } from "../attempt/verdict.ts";
import { createContext } from "./context.ts";
import type { Job } from "./job.ts";
import { cancelled, completed, failed, postponed } from "./report.ts";
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
 *   its time was over                         a failed attempt, whatever it threw or returned
 *   its worker shuts down                     handed back, no attempt used up
 *   it threw                                  a failed attempt
 */
export async function attempt(job: Job, input: unknown): Promise<Attempted> {
  const { deps, served, held, command, where } = job;
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const running = new Running(job, resolve);
  const context = createContext(job, running);
  held.running = running;
  deps.pulse.sooner(running.dueAt());
  deps.emit({ type: "attempt", ...where });
  const { deliveries } = held.delivery;
  const handle = async () => served.handler(input, context);
  running.start(() => deps.telemetry.attempt(command, where.attempt, deliveries, handle));
  const ended = await promise;
  held.running = undefined;
  if (ended.how === "leftBehind") deps.emit({ type: "left-behind", ...where });

  let error: unknown = ended.how === "threw" ? ended.error : undefined;
  if (ended.how === "returned" && !running.timedOut) {
    try {
      const output = writeOutput(served.step, ended.value, where);
      return { health: "good", conclude: () => completed(job, output) };
    } catch (invalid) {
      error = invalid;
    }
  }
  if (running.cancelled) return { health: "unknown", conclude: () => cancelled(job) };
  if (running.timedOut) error = running.timedOut;
  else if (running.draining) {
    const why = new StepCancelledError(where, "worker is shutting down");
    return { health: "unknown", conclude: () => handBack(job, running.details, why, 0) };
  }
  return { health: healthOf(error), conclude: () => afterFailure(job, running.details, error) };
}

/** A declared error is an answer; an input that does not fit says nothing about whom it was not sent to. */
function healthOf(error: unknown): Attempted["health"] {
  if (error instanceof DeclaredError) return "good";
  return error instanceof InvalidInputError ? "unknown" : "bad";
}

async function afterFailure(job: Job, details: unknown, error: unknown): Promise<void> {
  const { deps, served, held, command, where, records } = job;
  const { clock } = deps;
  const { slot, step, attempt } = where;
  const { retryIf } = served.step;
  const verdict = judge({ error, attempt, now: clock.now(), draw: clock.random(), retryIf }, command);
  if (verdict.next === "fail") return failed(job, verdict.error);
  const { delayMs, via } = verdict;
  const failure = toFailure(error);
  const record: AttemptRecord = { v: 1, type: "AttemptFailed", slot, step, attempt, error: failure, delayMs, details };
  if (!(await records.append(record))) return deps.emit({ type: "superseded", ...where });
  if (via === "inbox") await postponed(job, attempt + 1, delayMs);
  else held.nak(delayMs);
  deps.emit({ type: "retrying", ...where, delayMs, via, error });
}

/** Gives a command back without using up an attempt. The record tells it from one that killed its worker. */
export async function handBack(job: Job, details: unknown, error: Error, delayMs: number): Promise<void> {
  const { deps, held, where, records } = job;
  const { slot, step, attempt } = where;
  const record: AttemptRecord = { v: 1, type: "AttemptHeartbeat", slot, step, attempt, details, handedBack: true };
  if (!(await records.append(record))) return deps.emit({ type: "superseded", ...where });
  held.nak(delayMs);
  deps.emit({ type: "handed-back", ...where, error });
}
