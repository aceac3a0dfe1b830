import {
  CircuitOpenError,
  DeclaredError,
  fromFailure,
  InvalidInputError,
  type MalformedMessageError,
  type RunStep,
  StepCancelledError,
  type StepstreamError,
  toFailure,
  WorkerLostError,
} from "@stepstream/contracts";
import { overdue } from "../attempt/deadline.ts";
import { readCommand, readInput, writeOutput } from "../attempt/payload.ts";
import { firstStanding, type KeptRecord, type Standing } from "../attempt/standing.ts";
import { judge, outOfTime } from "../attempt/verdict.ts";
import { AttemptLog } from "./attempt-log.ts";
import { createContext } from "./context.ts";
import type { Deps } from "./deps.ts";
import type { Held } from "./held.ts";
import type { Served } from "./lane.ts";
import { isSettled, lookUp } from "./look-up.ts";
import { append, bury, cancelled, completed, failed, placeOf, postponed } from "./report.ts";
import { type Ended, Running } from "./running.ts";

/**
 * From a command to its end: read → look → refuse or run → judge → store → ack.
 *
 * K1. Every command that is taken up ends in an ack, a nak, or (another worker has it, this one stopped) in
 *     silence, upon which it comes again.
 * K2. Nothing is said by a worker that may have lost the command before it has looked for an outcome.
 * K3. A command that cannot be read, or whose input does not fit, is buried and reported: it blocks nothing.
 */
export async function work(deps: Deps, served: Served, held: Held): Promise<void> {
  const { subject, seq, text, deliveries } = held.delivery;
  let command: RunStep;
  try {
    command = readCommand(deps.log.subjects, subject, seq, text);
  } catch (error) {
    return refuseUnreadable(deps, held, error as MalformedMessageError);
  }
  let at = firstStanding(command);
  if (deliveries > 1 || command.attempt > 1 || held.isSuspect()) {
    const known = await lookUp(deps, held, command);
    if (!known) return settled(deps, held, command, command.attempt);
    at = known;
  }
  if (at.next === "fail")
    return failed(deps, held, command, at.last!.attempt, fromFailure(at.last!.error), at.last!.error);
  if (at.next === "postpone") return postponed(deps, held, command, at.attempt, at.delayMs);
  const where = placeOf(command, at.attempt);
  if (at.next === "lost") return giveUp(deps, held, command, at.attempt, new WorkerLostError(where, deliveries));
  if (deps.cancels.reason(command.run, command.slot) !== undefined) return cancelled(deps, held, command, at.attempt);
  const late = overdue(command, at.attempt, deliveries, deps.clock.now());
  if (late) {
    const error = outOfTime(late.kind, late.ms, where, at.last && fromFailure(at.last.error));
    return failed(deps, held, command, at.last?.attempt ?? at.attempt, error);
  }
  let input: unknown;
  try {
    input = readInput(served.step, command.input, where);
  } catch (error) {
    return giveUp(deps, held, command, at.attempt, error as InvalidInputError);
  }
  const records = new AttemptLog(deps, command.run, command.slot, at.lastSeq);
  const { breaker } = served;
  const admission = breaker?.enter();
  if (breaker && !admission) {
    const { name, cooldownMs } = breaker.policy;
    const delayMs = breaker.leftMs() || Math.min(cooldownMs, 1_000);
    return handBack(
      deps,
      held,
      command,
      at.attempt,
      at.details,
      records,
      new CircuitOpenError(name, command.step),
      delayMs,
    );
  }
  let attempted: Attempted | undefined;
  try {
    attempted = await attempt(deps, served, held, command, at, records, input);
  } finally {
    if (admission) breaker!.report(admission, attempted?.health ?? "unknown");
  }
  // A stall, or a cut of the connection: another worker may have had it meanwhile.
  if (held.isSuspect() && (await isSettled(deps, command))) return settled(deps, held, command, at.attempt);
  return attempted.conclude();
}

function settled(deps: Deps, held: Held, command: RunStep, attempt: number): void {
  held.ack();
  deps.emit({ type: "settled", ...placeOf(command, attempt) });
}

/** What came of an attempt: what it says about the health of what the handler calls, and what is to be done. */
interface Attempted {
  health: "good" | "bad" | "unknown";
  conclude(): Promise<void>;
}

async function attempt(
  deps: Deps,
  served: Served,
  held: Held,
  command: RunStep,
  at: Standing,
  records: AttemptLog,
  input: unknown,
): Promise<Attempted> {
  const { step, handler, ackWaitMs } = served;
  const where = placeOf(command, at.attempt);
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const { deliveries } = held.delivery;
  const silenceMs = command.heartbeatMs ?? ackWaitMs;
  const running = new Running(deps, command, at.attempt, at.details, records, silenceMs, resolve);
  const context = createContext(step, command, running, at.details, deps.logger);
  held.running = running;
  deps.pulse.sooner(running.dueAt());
  deps.emit({ type: "attempt", ...where });
  running.start(async () =>
    deps.telemetry.attempt(command, at.attempt, deliveries, async () => handler(input, context)),
  );
  const ended = await promise;
  held.running = undefined;
  if (ended.how === "leftBehind") deps.emit({ type: "left-behind", ...where });

  let error: unknown = ended.how === "threw" ? ended.error : undefined;
  if (ended.how === "returned" && !running.timedOut) {
    try {
      const output = writeOutput(step, ended.value, where);
      return { health: "good", conclude: () => completed(deps, held, command, at.attempt, output) };
    } catch (invalid) {
      error = invalid;
    }
  }
  if (running.cancelled) return { health: "unknown", conclude: () => cancelled(deps, held, command, at.attempt) };
  if (running.timedOut) error = running.timedOut;
  else if (running.draining) {
    const why = new StepCancelledError(where, "worker is shutting down");
    const conclude = () => handBack(deps, held, command, at.attempt, running.details, records, why, 0);
    return { health: "unknown", conclude };
  }
  return {
    health: error instanceof DeclaredError ? "good" : error instanceof InvalidInputError ? "unknown" : "bad",
    conclude: () => afterFailure(deps, served, held, running, records, error),
  };
}

async function afterFailure(
  deps: Deps,
  { step }: Served,
  held: Held,
  running: Running,
  records: AttemptLog,
  error: unknown,
): Promise<void> {
  const { command, attempt } = running;
  const { retryIf } = step;
  const { clock } = deps;
  const verdict = judge({ error, attempt, now: clock.now(), draw: clock.random(), retryIf }, command);
  if (verdict.next === "fail") return failed(deps, held, command, attempt, verdict.error);
  const { delayMs, via } = verdict;
  const record: KeptRecord = {
    v: 1,
    type: "AttemptFailed",
    slot: command.slot,
    step: command.step,
    attempt,
    error: toFailure(error),
    delayMs,
    details: running.details,
  };
  const where = placeOf(command, attempt);
  if (!(await records.append(record))) return deps.emit({ type: "superseded", ...where });
  if (via === "inbox") await postponed(deps, held, command, attempt + 1, delayMs);
  else held.nak(delayMs);
  deps.emit({ type: "retrying", ...where, delayMs, via, error });
}

/** Gives a command back without using up an attempt. The record tells it from one that killed its worker. */
async function handBack(
  deps: Deps,
  held: Held,
  command: RunStep,
  attempt: number,
  details: unknown,
  records: AttemptLog,
  error: Error,
  delayMs: number,
): Promise<void> {
  const { slot, step } = command;
  const record: KeptRecord = { v: 1, type: "AttemptHeartbeat", slot, step, attempt, details, handedBack: true };
  const where = placeOf(command, attempt);
  if (!(await records.append(record))) return deps.emit({ type: "superseded", ...where });
  held.nak(delayMs);
  deps.emit({ type: "handed-back", ...where, error });
}

async function giveUp(
  deps: Deps,
  held: Held,
  command: RunStep,
  attempt: number,
  error: StepstreamError & { path?: string },
): Promise<void> {
  await bury(deps, held, error);
  await failed(deps, held, command, attempt, error);
}

/** Its subject still says whose it is, so that the run can end. */
async function refuseUnreadable(deps: Deps, held: Held, error: MalformedMessageError): Promise<void> {
  await bury(deps, held, error);
  const parts = deps.log.subjects.parse(held.delivery.subject);
  if (parts?.step && Number.isInteger(parts.slot)) {
    const { run, slot, step } = parts;
    const message = { v: 1, type: "StepFailed", slot, step, attempt: 1, error: toFailure(error) };
    await append(deps, run, JSON.stringify(message), `${run}.${slot}.${held.delivery.seq}.unreadable`);
  }
  held.ack();
}
