import { z } from "zod";
import { RetryPolicy, TimeoutPolicy } from "./duration.ts";
import { Failure } from "./failure.ts";
import { Attempt, Code, EpochMs, Ms, Name, RunId, Slot } from "./ids.ts";

/**
 * Every message on the bus. Readers drop unknown keys, so a newer writer may add some; a field that
 * changes its meaning is a new `type` or a new `v`.
 *
 * The comments here are the descriptions in docs/asyncapi.yaml and docs/schemas: write them for people who
 * implement the protocol in another language.
 */

const v = z.literal(1);

/** Any JSON. Absent where there is nothing to say: a step without input, a handler that returns nothing. */
const Payload = z.unknown().optional();

/** W3C trace context: https://www.w3.org/TR/trace-context/ */
export const Trace = z.object({
  traceparent: z.string().regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/),
  tracestate: z.string().optional(),
});
export type Trace = z.infer<typeof Trace>;

/** What the workflow said about how far it is. */
export const Progress = z.object({ step: z.number(), total: z.number(), name: z.string(), percent: z.number() });
export type Progress = z.infer<typeof Progress>;

// ---------------------------------------------------------------- inbox

/** The first message of every run. Appended with expected last subject sequence 0. */
export const RunStarted = z.object({
  v,
  type: z.literal("RunStarted"),
  /** The sender's own id of this message: the same id again is the same start. */
  id: z.string().min(1),
  workflow: Name,
  version: z.int().min(1),
  input: Payload,
  trace: Trace.optional(),
});

/** A worker ran the slot to a good end. */
export const StepCompleted = z.object({
  v,
  type: z.literal("StepCompleted"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  output: Payload,
});

/** The slot failed for good: the last attempt is used up, or the error is final. */
export const StepFailed = z.object({
  v,
  type: z.literal("StepFailed"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  error: Failure,
});

/** A worker gave the slot up because the run asked for it. */
export const StepCancelled = z.object({
  v,
  type: z.literal("StepCancelled"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
});

/** The wait before the next attempt is too long for the command queue: keep it as a timer. */
export const RetryLater = z.object({
  v,
  type: z.literal("RetryLater"),
  slot: Slot,
  step: Name,
  /** The attempt that comes next. */
  attempt: Attempt,
  delayMs: Ms,
});

/** A timer of the run has come due. Said by the coordinator, never early. */
export const TimerFired = z.object({ v, type: z.literal("TimerFired"), slot: Slot });

/** A slot was given up because its time ran out. Said by the coordinator, when no worker can. */
export const SlotTimedOut = z.object({
  v,
  type: z.literal("SlotTimedOut"),
  slot: Slot,
  kind: z.enum(["queue", "total"]),
});

/** A cancelled slot whose worker did not answer within the grace period. */
export const SlotAbandoned = z.object({ v, type: z.literal("SlotAbandoned"), slot: Slot });

/** Somebody wants the run to stop. */
export const CancelRequested = z.object({
  v,
  type: z.literal("CancelRequested"),
  id: z.string().min(1),
  reason: z.string(),
  /** How long workers have to clean up before their slots are abandoned. Default: the coordinator's, 10 s. */
  graceMs: Ms.optional(),
});

/** What happened to a run, from outside. */
export const InboxMessage = z.discriminatedUnion("type", [
  RunStarted,
  StepCompleted,
  StepFailed,
  StepCancelled,
  RetryLater,
  TimerFired,
  SlotTimedOut,
  SlotAbandoned,
  CancelRequested,
]);
export type InboxMessage = z.infer<typeof InboxMessage>;
export type RunStarted = z.infer<typeof RunStarted>;
/** What a worker says about a slot. */
export type SlotOutcome = z.infer<typeof StepCompleted | typeof StepFailed | typeof StepCancelled>;

// ---------------------------------------------------------------- journal

/** The run asks for a step. A command follows once this is stored. */
export const StepScheduled = z.object({
  type: z.literal("StepScheduled"),
  slot: Slot,
  step: Name,
  input: Payload,
  /** Set on a compensation: it undoes work after the run has settled. */
  compensation: z.literal(true).optional(),
});
/** The run waits until `fireAt`. */
export const TimerStarted = z.object({ type: z.literal("TimerStarted"), slot: Slot, fireAt: EpochMs });
/** The command of the slot comes back at `fireAt` as attempt `attempt`. */
export const RetryScheduled = z.object({
  type: z.literal("RetryScheduled"),
  slot: Slot,
  attempt: Attempt,
  fireAt: EpochMs,
});
/** The wait is over: the command of the slot goes out again, as attempt `attempt`. */
export const StepRescheduled = z.object({ type: z.literal("StepRescheduled"), slot: Slot, attempt: Attempt });
/** Workers are asked to give these slots up; each still gets an outcome of its own. Timers end at once. */
export const SlotsCancelled = z.object({ type: z.literal("SlotsCancelled"), slots: z.array(Slot), reason: z.string() });
/** What the workflow said about how far it is. */
export const ProgressReported = z.object({ type: z.literal("ProgressReported"), ...Progress.shape });
/** The run knows that it is to stop: what it waits for fails with `WORKFLOW_CANCELLED`. */
export const CancelAccepted = z.object({
  type: z.literal("CancelAccepted"),
  id: z.string(),
  reason: z.string(),
  graceMs: Ms.optional(),
});
/** The workflow function has ended, but slots are open or compensations to do before the run may close. */
export const RunClosing = z.object({
  type: z.literal("RunClosing"),
  outcome: z.enum(["completed", "failed", "cancelled"]),
  error: Failure.optional(),
});
/** A compensation failed for good; the others still run. */
export const CompensationFailed = z.object({ type: z.literal("CompensationFailed"), slot: Slot, error: Failure });
/** The end: the workflow returned `output`. */
export const RunCompleted = z.object({ type: z.literal("RunCompleted"), output: Payload });
/** The end: the workflow threw `error`. */
export const RunFailed = z.object({
  type: z.literal("RunFailed"),
  error: Failure,
});
/** The end: the run was cancelled, and what it had open has settled. */
export const RunCancelled = z.object({ type: z.literal("RunCancelled"), reason: z.string() });

/** One thing that a decision says. */
export const RunEvent = z.discriminatedUnion("type", [
  StepScheduled,
  TimerStarted,
  RetryScheduled,
  StepRescheduled,
  SlotsCancelled,
  ProgressReported,
  CancelAccepted,
  RunClosing,
  CompensationFailed,
  RunCompleted,
  RunFailed,
  RunCancelled,
]);
export type RunEvent = z.infer<typeof RunEvent>;
export type TerminalEvent = z.infer<typeof RunCompleted | typeof RunFailed | typeof RunCancelled>;

export function isTerminal(event: RunEvent): event is TerminalEvent {
  return event.type === "RunCompleted" || event.type === "RunFailed" || event.type === "RunCancelled";
}

/** One journal message: all events of one decision, so that they are stored together or not at all. */
export const Decision = z.object({
  v,
  type: z.literal("Decision"),
  /** The stream sequence of the last inbox message that this decision consumed. */
  upTo: z.int().min(1),
  /** The coordinator that wrote it. With `upTo` it tells a lost acknowledgement from a rival's decision. */
  by: z.string(),
  events: z.array(RunEvent).min(1),
});
export type Decision = z.infer<typeof Decision>;

// ---------------------------------------------------------------- commands, attempts

/** Tells a worker to run a slot. Everything a worker in any language needs is in it. */
export const RunStep = z.object({
  v,
  type: z.literal("RunStep"),
  run: RunId,
  workflow: Name,
  slot: Slot,
  step: Name,
  input: Payload,
  /** The attempt to make, unless `attempts` has a failure of it or a later one: then the one after that. */
  attempt: Attempt,
  /** The same for every attempt at this slot: `<run>/<slot>`. */
  idempotencyKey: z.string(),
  retry: RetryPolicy,
  timeout: TimeoutPolicy,
  /** Longest silence of a running attempt. Also the consumer's ack_wait. */
  heartbeatMs: Ms.optional(),
  /** When the slot was scheduled: `timeout.totalMs` and `timeout.queueMs` count from here. */
  scheduledAt: EpochMs,
  /** The inbox sequence that caused it: an outcome of this slot can only come after it. */
  after: z.int().min(0),
  trace: Trace.optional(),
});
export type RunStep = z.infer<typeof RunStep>;

/** One attempt went wrong. Says nothing about the slot: a retry or `StepFailed` follows. */
export const AttemptFailed = z.object({
  v,
  type: z.literal("AttemptFailed"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  error: Failure,
  /** The wait before the next attempt; absent if this was the last. */
  delayMs: Ms.optional(),
  /** The last heartbeat's details, handed to the next attempt. */
  details: Payload,
});
/** What a running attempt reported with its heartbeat, for the attempt after a crash. */
export const AttemptHeartbeat = z.object({
  v,
  type: z.literal("AttemptHeartbeat"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  details: Payload,
  /** The command was given back without using the attempt up: a breaker is open, the worker is shutting down. */
  handedBack: z.literal(true).optional(),
});
/** What is kept of an attempt that did not end well. */
export const AttemptRecord = z.discriminatedUnion("type", [AttemptFailed, AttemptHeartbeat]);
export type AttemptRecord = z.infer<typeof AttemptRecord>;

// ---------------------------------------------------------------- people's business

/** Something that could not be handled, with all that is needed to look into it. */
export const DeadLetter = z.object({
  v,
  type: z.literal("DeadLetter"),
  code: Code,
  message: z.string(),
  /** Where in the message the fault is, e.g. `input.lines[3].cents`. */
  path: z.string().optional(),
  /** The subject and stream sequence of the message at fault. */
  subject: z.string(),
  seq: z.int().min(0),
  /** The message at fault, as it was. */
  text: z.string(),
  error: Failure.optional(),
});
export type DeadLetter = z.infer<typeof DeadLetter>;

/** A run that no coordinator at hand can take further, and why. It is taken up again by itself. */
export const RunParked = z.object({
  v,
  type: z.literal("RunParked"),
  run: RunId,
  workflow: z.string(),
  version: z.int(),
  code: Code,
  error: Failure,
});
export type RunParked = z.infer<typeof RunParked>;

// ---------------------------------------------------------------- core NATS: hints that may be lost

/** Asks workers to abort their attempts at these slots. Repeated every second while one is open. */
export const CancelSlots = z.object({
  v,
  type: z.literal("CancelSlots"),
  run: RunId,
  slots: z.array(Slot),
  reason: z.string(),
});
export type CancelSlots = z.infer<typeof CancelSlots>;

/** "I am here" (or leaving), said by each coordinator once a second. */
export const Presence = z.object({ v, type: z.literal("Presence"), id: z.string(), leaving: z.boolean() });
export type Presence = z.infer<typeof Presence>;

/** A worker's circuit breaker changed its state. */
export const BreakerChanged = z.object({
  v,
  type: z.literal("BreakerChanged"),
  worker: z.string(),
  step: Name,
  state: z.enum(["closed", "open", "halfOpen"]),
});
export type BreakerChanged = z.infer<typeof BreakerChanged>;

// ---------------------------------------------------------------- any of the above, if it is large

/**
 * Stands for a message of over 256 KiB, whose text is kept in chunks on a stream of its own. Readers fetch it
 * and go on as if it had been in this message's place.
 */
export const Ref = z.object({
  v,
  type: z.literal("Ref"),
  /** The run, and the SHA-256 of the text in hex. */
  key: z.string().regex(/^[A-Za-z0-9_-]{1,64}\/[0-9a-f]{64}$/, "<run>/<sha256>"),
  /** Length of the text in UTF-8. */
  bytes: z.int().min(1),
  /** Length of each chunk but the last. */
  chunk: z.int().min(1),
});
export type Ref = z.infer<typeof Ref>;
