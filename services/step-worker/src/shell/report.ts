import { type DeadLetter, type Failure, type RunStep, type StepstreamError, toFailure } from "@stepstream/contracts";
import type { Deps, Place } from "./deps.ts";
import type { Held } from "./held.ts";
import { retrying } from "./retrying.ts";

/**
 * What a worker says about a slot.
 *
 * W1. Store first, then ack: what is acked has its outcome in the inbox.
 * W2. The same outcome of the same attempt has the same message id, whoever says it and however often.
 */
export async function completed(deps: Deps, held: Held, command: RunStep, attempt: number, output: string) {
  const { slot, step } = command;
  const head = `{"v":1,"type":"StepCompleted","slot":${slot},"step":"${step}","attempt":${attempt}`;
  await conclude(deps, held, command, attempt, output === "" ? `${head}}` : `${head},"output":${output}}`);
  deps.emit({ type: "completed", ...placeOf(command, attempt) });
}

export async function failed(deps: Deps, held: Held, command: RunStep, attempt: number, error: unknown, as?: Failure) {
  const { slot, step } = command;
  const message = { v: 1, type: "StepFailed", slot, step, attempt, error: as ?? toFailure(error) };
  await conclude(deps, held, command, attempt, JSON.stringify(message));
  deps.emit({ type: "failed", ...placeOf(command, attempt), error });
}

export async function cancelled(deps: Deps, held: Held, command: RunStep, attempt: number) {
  const { slot, step } = command;
  const message = { v: 1, type: "StepCancelled", slot, step, attempt };
  await conclude(deps, held, command, attempt, JSON.stringify(message));
  deps.emit({ type: "cancelled", ...placeOf(command, attempt) });
}

/** Has the next attempt come back after a wait that is too long for the queue. */
export async function postponed(deps: Deps, held: Held, command: RunStep, attempt: number, delayMs: number) {
  const { run, slot, step } = command;
  const message = { v: 1, type: "RetryLater", slot, step, attempt, delayMs };
  await append(deps, run, JSON.stringify(message), `${run}.${slot}.${attempt}.later`);
  held.ack();
}

async function conclude(deps: Deps, held: Held, command: RunStep, attempt: number, text: string): Promise<void> {
  const { run, slot } = command;
  await append(deps, run, text, `${run}.${slot}.${attempt}.done`);
  held.ack();
}

/** Says something to a run's inbox, for as long as it takes. */
export async function append(deps: Deps, run: string, text: string, id: string): Promise<void> {
  const { log } = deps;
  await retrying(deps, `tell run ${run}`, () => log.append(log.subjects.inbox(run), text, { id }));
}

/** Keeps a command that cannot be handled, with all that is needed to look into it. */
export async function bury(deps: Deps, held: Held, error: StepstreamError & { path?: string }): Promise<void> {
  const { log } = deps;
  const { subject, seq, text } = held.delivery;
  const parts = log.subjects.parse(subject);
  const letter: DeadLetter = {
    v: 1,
    type: "DeadLetter",
    code: error.code,
    message: error.message,
    ...(error.path ? { path: error.path } : {}),
    subject,
    seq,
    text,
    error: toFailure(error),
  };
  const slot = Number.isInteger(parts?.slot) ? parts!.slot! : 0;
  const grave = log.subjects.dead(parts?.step ?? "-", parts?.run ?? "-", slot);
  const id = `dead.${subject}.${seq}`;
  await retrying(deps, `bury ${subject}`, () => log.append(grave, JSON.stringify(letter), { id }));
  deps.emit({ type: "dead", subject, error });
}

export function placeOf({ run, step, slot }: RunStep, attempt: number): Place {
  return { run, step, slot, attempt };
}
