import { type AttemptRecord, type InboxMessage, invariant, type RunStep } from "@stepstream/contracts";
import { QUEUE_WAIT_MAX_MS } from "./verdict.ts";

/**
 * Where a slot stands, by what is on record when its command comes (again).
 *
 *   standing(command, deliveries, records, now) -> which attempt comes next, and whether one comes at all
 *   settles(message, command)                   -> is there nothing left to do for this command?
 *
 * S1. The next attempt is the greater of the command's own number and 1 + the last failed one on record. The
 *     delivery count plays no part: deliveries get lost, attempts do not.
 * S2. An attempt that neither failed nor ended (its process died) is tried again under its own number.
 * S3. A record that says "this was the last" means that only StepFailed is missing.
 * S4. A record with a wait too long for the queue means that only RetryLater is missing.
 * S5. A command is a suspect after more than two deliveries in a row that left no record: each may have ended its process,
 *     or was lost on its way, or was another's work. A suspect is started alone in its process (../shell/isolation.ts).
 *     Nothing else follows from a delivery count.
 * S6. Only a start alone that left no record counts against a command. After three in a row it is given up. A failed
 *     attempt ends the row; an attempt whose worker was told to stop, or that others joined, is not counted.
 *
 * Asserted of each standing that comes from records ("standing S1" …).
 */
export interface Standing {
  /** run: the attempt; fail: StepFailed with `last`; postpone: RetryLater; lost: WORKER_LOST. */
  next: "run" | "fail" | "postpone" | "lost";
  /** The number of the next attempt. */
  attempt: number;
  /** What the previous attempt reported last. */
  details: unknown;
  /** The sequence of the last message on the slot's attempts, 0 for none: the next record's fence. */
  lastSeq: number;
  /** The last failed attempt, if the last record is one. */
  last: FailedRecord | undefined;
  /** What is left of the wait (postpone). */
  delayMs: number;
  /** Deliveries of the command up to this one are accounted for. */
  explained: number;
  /** How many deliveries since then left no record. */
  silent: number;
  /** Starts alone in a row that left no record. */
  alone: number;
}

type FailedRecord = Extract<AttemptRecord, { type: "AttemptFailed" }>;

/** A record and when it was stored. What could not be read has a place, but nothing to say. */
export interface Recorded {
  seq: number;
  at: number;
  record: AttemptRecord | undefined;
}

/** So many deliveries in a row without a record are an accident each. */
const SILENT_MAX = 2;
/** So many starts alone may end their process. */
const ALONE_MAX = 3;

/** Where a command stands that comes for the first time. */
export function firstStanding(command: RunStep): Standing {
  return {
    next: "run",
    attempt: command.attempt,
    details: undefined,
    lastSeq: 0,
    last: undefined,
    delayMs: 0,
    explained: 0,
    silent: 0,
    alone: 0,
  };
}

export function isSuspect({ next, silent, alone }: Standing): boolean {
  return next === "run" && (silent > SILENT_MAX || alone > 0);
}

/**
 * @param records - In order. The last one suffices.
 * @param now - Epoch milliseconds.
 * @throws {InvariantError}
 */
export function standing(command: RunStep, deliveries: number, records: readonly Recorded[], now: number): Standing {
  const at = fromRecords(command, deliveries, records, now);
  check(at, command, deliveries, records);
  return at;
}

/** Only of commands that come again, or after a wait. */
function check(at: Standing, command: RunStep, deliveries: number, records: readonly Recorded[]): void {
  const { next, attempt, last, delayMs } = at;
  const { run, step, slot } = command;
  const where = { run, step, slot, attempt };
  const record = records.findLast((one) => one.record)?.record;
  const failed = record?.type === "AttemptFailed" ? record : undefined;
  const before = failed ? failed.attempt + 1 : (record?.attempt ?? 0);
  invariant(attempt >= command.attempt, "standing S1", where, "it was an earlier attempt's turn");
  invariant(!failed || attempt > failed.attempt, "standing S1", where, "this attempt has failed already");
  invariant(attempt >= before, "standing S2", where, () => `attempt ${before} has begun`);
  const over = failed !== undefined && failed.delayMs === undefined;
  invariant(!over || next === "fail", "standing S3", where, () => `the last attempt is over, and ${next} is next`);
  if (next === "postpone")
    invariant(last === failed && delayMs > 0, "standing S4", where, "it is to wait, and no record says so");
  const unexplained = Math.max(0, deliveries - 1 - at.explained);
  invariant(at.silent === unexplained, "standing S5", where, () => `${at.silent} of ${unexplained} deliveries count`);
  const starts = record && "alone" in record ? (record.alone ?? 0) : 0;
  const guilty = next !== "lost" || starts >= ALONE_MAX;
  invariant(guilty, "standing S6", where, () => `it is given up after ${starts} starts alone`);
}

function fromRecords(command: RunStep, deliveries: number, records: readonly Recorded[], now: number): Standing {
  const at = firstStanding(command);
  let failedAt = 0;
  for (const { seq, at: storedAt, record } of records) {
    at.lastSeq = seq;
    if (!record) continue;
    const failed = record.type === "AttemptFailed";
    at.attempt = Math.max(at.attempt, failed ? record.attempt + 1 : record.attempt);
    at.details = record.details;
    at.last = failed ? record : undefined;
    failedAt = storedAt;
    at.explained = explainedBy(record, command);
    at.alone = failed ? 0 : (record.alone ?? 0);
  }
  at.silent = Math.max(0, deliveries - 1 - at.explained);
  const { last } = at;
  if (last && (last.delayMs === undefined || last.attempt >= command.retry.maxAttempts)) at.next = "fail";
  else if (at.alone >= ALONE_MAX) at.next = "lost";
  else if (last && last.attempt >= command.attempt && last.delayMs! > QUEUE_WAIT_MAX_MS) {
    at.delayMs = Math.min(last.delayMs!, failedAt + last.delayMs! - now);
    if (at.delayMs > 0) at.next = "postpone";
  }
  return at;
}

/** Records from before the command (a RetryLater) are of other deliveries. */
function explainedBy(record: AttemptRecord, command: RunStep): number {
  const later = record.attempt - command.attempt;
  if (later < 0) return 0;
  // A worker that does not count: as many as have surely failed.
  return record.explained ?? (record.type === "AttemptFailed" ? later + 1 : later);
}

/**
 * Did every earlier delivery end in a failed attempt on record? Then none of them can have left an outcome,
 * and the inbox need not be searched for one: it is long where the run is wide. (True only of a count that holds all of
 * them: see ../shell/look-up.ts.)
 */
export function explained(command: RunStep, deliveries: number, last: AttemptRecord | undefined): boolean {
  return last?.type === "AttemptFailed" && last.attempt - command.attempt + 1 === deliveries - 1;
}

/** Does this message of the run's inbox leave nothing to do for the command? */
export function settles(message: InboxMessage, command: RunStep): boolean {
  switch (message.type) {
    case "StepCompleted":
    case "StepFailed":
    case "StepCancelled":
      return isOf(message, command);
    case "RetryLater":
      return isOf(message, command) && message.attempt > command.attempt;
    case "SlotTimedOut":
    case "SlotAbandoned":
      return message.slot === command.slot;
    default:
      return false;
  }
}

/** A late word on a run that had the id before, and was deleted, says nothing about this command. */
function isOf(message: { slot: number; step: string; after?: number | undefined }, command: RunStep): boolean {
  const same = message.after === undefined || message.after === command.after;
  return same && message.slot === command.slot && message.step === command.step;
}
