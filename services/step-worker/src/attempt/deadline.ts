import { invariant, type RunStep, type Where } from "@stepstream/contracts";

/**
 * The clocks of a step, as the worker sees them. Pure.
 *
 * T1. An attempt is over at whichever comes first: its own time-out or the step's total.
 * T2. No attempt is started once the total is over.
 * T3. Only the first delivery of the first attempt can be too late for the queue time-out: later ones have
 *     been picked up before.
 *
 * Asserted where an attempt is started or refused ("deadline T1" …).
 *
 * All times are the server's: `scheduledAt` is what it stored, `now` its time as the event log knows it. A machine's own
 * clock has no part in it.
 */
export type Overdue = { kind: "total" | "queue"; ms: number };

/** Why no attempt may start any more, if so. */
export function overdue(command: RunStep, attempt: number, deliveries: number, now: number): Overdue | undefined {
  const { totalMs, queueMs } = command.timeout;
  const age = now - command.scheduledAt;
  if (totalMs !== undefined && age >= totalMs) return { kind: "total", ms: totalMs };
  if (queueMs !== undefined && attempt === 1 && deliveries === 1 && age >= queueMs)
    return { kind: "queue", ms: queueMs };
  return undefined;
}

export interface Deadline {
  /** Epoch milliseconds; Infinity for none. */
  at: number;
  kind: "attempt" | "total";
  /** The length of that time-out. */
  ms: number;
}

/** When an attempt that starts now has to be over. */
export function deadlineOf({ timeout, scheduledAt }: RunStep, now: number): Deadline {
  const attemptMs = timeout.attemptMs ?? Number.POSITIVE_INFINITY;
  const totalMs = timeout.totalMs ?? Number.POSITIVE_INFINITY;
  return scheduledAt + totalMs <= now + attemptMs
    ? { at: scheduledAt + totalMs, kind: "total", ms: totalMs }
    : { at: now + attemptMs, kind: "attempt", ms: attemptMs };
}

/**
 * Asserts what holds of an attempt that starts now, and of its deadline.
 *
 * @param where - The attempt's.
 * @throws {InvariantError}
 */
export function checkStart({ timeout, scheduledAt }: RunStep, now: number, { at }: Deadline, where: Where): void {
  const { attemptMs, totalMs } = timeout;
  if (totalMs !== undefined) {
    invariant(now < scheduledAt + totalMs, "deadline T2", where, "it starts after the total time-out");
    invariant(at <= scheduledAt + totalMs, "deadline T1", where, "it may go on after the total time-out");
  }
  if (attemptMs !== undefined)
    invariant(at <= now + attemptMs, "deadline T1", where, "it may go on after its own time-out");
}

/** Asserts what holds of a command that is too late. @throws {InvariantError} */
export function checkOverdue({ kind }: Overdue, attempt: number, deliveries: number, where: Where): void {
  const first = attempt === 1 && deliveries === 1;
  invariant(kind !== "queue" || first, "deadline T3", where, "it is too late for the queue, and has been picked up");
}
