import {
  type AttemptRecord,
  type DeadLetter,
  type InboxMessage,
  LogRefusedError,
  LogUnavailableError,
  type RunStep,
  type StepstreamError,
  toFailure,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import { type Stored, sleep } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

/**
 * What a worker says about a slot. Said again until the log has it, or the worker is stopped: then the command
 * comes back to another.
 */
export async function tellRun(deps: Deps, run: string, message: InboxMessage, key: string): Promise<boolean> {
  const { log } = deps;
  const append = () => log.append(log.subjects.inbox(run), JSON.stringify(message), { id: `${run}.${key}` });
  return (await insist(deps, `tell run ${run} ${message.type}`, append)) !== undefined;
}

/**
 * Puts an attempt on record, fenced by the subject's last sequence.
 *
 * @returns The record's sequence; undefined if another worker has written: the slot is in its hands.
 */
export async function recordAttempt(
  deps: Deps,
  command: RunStep,
  record: AttemptRecord,
  expectLast: number,
): Promise<number | undefined> {
  const { log } = deps;
  const subject = log.subjects.attempts(command.run, command.slot);
  const text = JSON.stringify(record);
  const append = async () => {
    try {
      return (await log.append(subject, text, { expectLast })).seq;
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
      // Our own, whose acknowledgement was lost?
      const last = await log.last(subject, { fresh: true });
      return last?.text === text ? last.seq : -1;
    }
  };
  const seq = await insist(deps, `record an attempt of run ${command.run}`, append);
  return seq === -1 ? undefined : seq;
}

/** Keeps a command that cannot be run. */
export async function bury(deps: Deps, stored: Stored, error: StepstreamError & { path?: string }): Promise<boolean> {
  const { log } = deps;
  const { step, run, slot } = log.subjects.parse(stored.subject)!;
  const letter: DeadLetter = {
    v: 1,
    type: "DeadLetter",
    code: error.code,
    message: error.message,
    ...(error.path ? { path: error.path } : {}),
    subject: stored.subject,
    seq: stored.seq,
    text: stored.text,
    error: toFailure(error),
  };
  const id = `dead.${stored.subject}.${stored.seq}`;
  const append = () => log.append(log.subjects.dead(step!, run, slot!), JSON.stringify(letter), { id });
  const done = await insist(deps, `bury ${stored.subject}`, append);
  if (done) deps.emit({ type: "dead", subject: stored.subject, error });
  return done !== undefined;
}

/** Waits 50 ms, doubling, at most 2 s. @returns undefined if the worker was stopped before it succeeded. */
async function insist<T>(deps: Deps, what: string, act: () => Promise<T>): Promise<T | undefined> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof LogUnavailableError || error instanceof LogRefusedError)) throw error;
      deps.emit({ type: "trouble", what, error });
    }
    if (deps.stopping()) return undefined;
    await sleep(deps.clock, waitMs);
  }
}
