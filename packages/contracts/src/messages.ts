import { z } from "zod";
import { RetryPolicy, TimeoutPolicy } from "./duration.ts";
import { Failure } from "./failure.ts";
import { Attempt, Code, EpochMs, Ms, Name, RunId, Slot } from "./ids.ts";
import { MAX_SLOT } from "./limits.ts";

/**
 * Every message on the bus. Readers drop unknown keys, so a newer writer may add some; a field that
 * changes its meaning is a new `type` or a new `v`.
 *
 * The comments here are the descriptions in docs/asyncapi.yaml and docs/schemas: write them for people who
 * implement the protocol in another language.
 */

const v = z.literal(1);

/**
 * Any JSON. What JSON has no form for is an object with a `$type`: see value-codec.ts. Absent where there is nothing to say:
 * a step without input, a handler that returns nothing.
 */
const Payload = z.unknown().optional();

/** W3C trace context: https://www.w3.org/TR/trace-context/ */
export const Trace = z.object({
  traceparent: z.string().regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/),
  tracestate: z.string().optional(),
});
export type Trace = z.infer<typeof Trace>;

/**
 * W3C baggage, as its header has it: https://www.w3.org/TR/baggage/. At most 8192 characters, which is what everybody
 * must be able to hand on. It travels with every command: keep it short.
 */
export const Baggage = z.string().max(8_192);
export type Baggage = z.infer<typeof Baggage>;

/** What the workflow said about how far it is. */
export const Progress = z.object({ step: z.number(), total: z.number(), name: z.string(), percent: z.number() });
export type Progress = z.infer<typeof Progress>;

/** A signal: something that a run is told from outside. */
export const Signal = z.object({
  /** The sender's own id of this signal: the same id again is the same signal. */
  id: z.string().min(1),
  name: Name,
  payload: Payload,
});
export type Signal = z.infer<typeof Signal>;

/** An update that was sent to a run and has no answer yet. */
const Update = z.object({ id: z.string().min(1), name: Name, input: Payload });

/** What becomes of a child that is still going on when its parent ends. */
export const ParentClosePolicy = z.enum(["terminate", "cancel", "abandon"]);
export type ParentClosePolicy = z.infer<typeof ParentClosePolicy>;

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
  /** What the run hangs below: its trace is the run's. */
  trace: Trace.optional(),
  /** What the run is linked with, while its trace is its own. */
  link: Trace.optional(),
  /** The caller's, for the handlers of all steps and children. */
  baggage: Baggage.optional(),
  /** The run and slot that it is a child of: they are told how it ended. */
  parent: z
    .object({
      run: RunId,
      slot: Slot,
      /** The inbox sequence that led to the slot: tells it from a slot of a run that had the parent's id before. */
      after: z.int().min(0).optional(),
    })
    .optional(),
  /** The workflow function is called so long after this message was stored. */
  delayMs: Ms.optional(),
  /** The run fails if it has not ended so long after this message was stored. */
  timeoutMs: Ms.optional(),
  /** Slots that were used under this id before; the first new one comes after them. */
  slots: z.int().min(0).max(MAX_SLOT).optional(),
  /** Where the run goes on as new: when it was first started. `timeoutMs` counts from here. */
  since: EpochMs.optional(),
  /** Signals that are there from the start. */
  signals: z.array(Signal).optional(),
  /** Where the run goes on as new: updates that came before, and that no handler has answered. */
  updates: z.array(Update).optional(),
  /** Where the run goes on as new: ids of the latest signals and updates, so that a repeat is known for one. */
  seen: z.array(z.string()).optional(),
});

/** Which start of the handler it comes from: each start of a slot has another. Absent where no handler was started. */
const StartMark = z.string().max(64).optional();

/** A worker ran the slot to a good end. */
export const StepCompleted = z.object({
  v,
  type: z.literal("StepCompleted"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  output: Payload,
  /** The command's own: tells the slot from one of a run that had the id before. */
  after: z.int().min(0).optional(),
  start: StartMark,
});

/** The slot failed for good: the last attempt is used up, or the error is final. */
export const StepFailed = z.object({
  v,
  type: z.literal("StepFailed"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  error: Failure,
  /** The command's own: tells the slot from one of a run that had the id before. */
  after: z.int().min(0).optional(),
  start: StartMark,
});

/** A worker gave the slot up because the run asked for it. */
export const StepCancelled = z.object({
  v,
  type: z.literal("StepCancelled"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  /** The command's own: tells the slot from one of a run that had the id before. */
  after: z.int().min(0).optional(),
  start: StartMark,
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
  /** The command's own: tells the slot from one of a run that had the id before. */
  after: z.int().min(0).optional(),
});

/**
 * The handler of a slot was started twice, and neither start crashed: a worker found that another had recorded an attempt or
 * the slot's outcome while its own handler was at work. What this start came to is dropped. It changes nothing.
 */
export const StepStartedTwice = z.object({
  v,
  type: z.literal("StepStartedTwice"),
  slot: Slot,
  step: Name,
  attempt: Attempt,
  /** The name of the worker whose start is dropped. */
  worker: z.string().max(200),
  /** The command's own: tells the slot from one of a run that had the id before. */
  after: z.int().min(0).optional(),
  start: StartMark,
});

/** A timer of the run has come due. Said by the coordinator, never early. */
export const TimerFired = z.object({
  v,
  type: z.literal("TimerFired"),
  slot: Slot,
  /** The inbox sequence that led to the slot: tells it from a slot of a run that had the id before. */
  after: z.int().min(0).optional(),
});

/** A slot was given up because its time ran out. Said by the coordinator, when no worker can. */
export const SlotTimedOut = z.object({
  v,
  type: z.literal("SlotTimedOut"),
  slot: Slot,
  kind: z.enum(["queue", "total"]),
  /** The inbox sequence that led to the slot: tells it from a slot of a run that had the id before. */
  after: z.int().min(0).optional(),
});

/** A cancelled slot whose worker did not answer within the grace period. */
export const SlotAbandoned = z.object({
  v,
  type: z.literal("SlotAbandoned"),
  slot: Slot,
  /** The inbox sequence that led to the slot: tells it from a slot of a run that had the id before. */
  after: z.int().min(0).optional(),
});

/** Somebody wants the run to stop. */
export const CancelRequested = z.object({
  v,
  type: z.literal("CancelRequested"),
  id: z.string().min(1),
  reason: z.string(),
  /** How long workers have to clean up before their slots are abandoned. Default: the coordinator's, 10 s. */
  graceMs: Ms.optional(),
  /** How long all clean-up may take, compensations included; then the run is terminated. Default: as long as it takes. */
  cleanupMs: Ms.optional(),
  /**
   * The last inbox sequence that its sender read. A run that was started after it has the id of the run that was meant,
   * and is another one: the request has no effect on it.
   */
  after: z.int().min(0).optional(),
});

/** Somebody wants the run to end at once, without any clean-up. Works on parked runs too. */
export const TerminateRequested = z.object({
  v,
  type: z.literal("TerminateRequested"),
  id: z.string().min(1),
  reason: z.string(),
  /**
   * The last inbox sequence that its sender read. A run that was started after it has the id of the run that was meant,
   * and is another one: the request has no effect on it.
   */
  after: z.int().min(0).optional(),
});

/** A signal for the run. It is kept until the workflow asks for it. */
export const SignalReceived = z.object({
  v,
  type: z.literal("SignalReceived"),
  ...Signal.shape,
  /** As in CancelRequested: a run that was started after it is not the one that was meant. */
  after: z.int().min(0).optional(),
});

/** Asks the run to change itself and to answer: see UpdateRefused, UpdateAccepted, UpdateCompleted, UpdateFailed. */
export const UpdateRequested = z.object({
  v,
  type: z.literal("UpdateRequested"),
  ...Update.shape,
  /** As in CancelRequested: a run that was started after it is not the one that was meant. */
  after: z.int().min(0).optional(),
});

/** A child has ended, or could not be started. Said by the coordinator that has the child (or tried to start it). */
export const ChildEnded = z.object({
  v,
  type: z.literal("ChildEnded"),
  slot: Slot,
  child: RunId,
  outcome: z.enum(["completed", "failed", "cancelled", "terminated"]),
  /** Where it completed. */
  output: Payload,
  /** Where it did not. */
  error: Failure.optional(),
  /** The inbox sequence that led to the slot: tells it from a slot of a run that had the id before. */
  after: z.int().min(0).optional(),
});
export type ChildEnded = z.infer<typeof ChildEnded>;

/** What happened to a run, from outside. */
export const InboxMessage = z.discriminatedUnion("type", [
  RunStarted,
  StepCompleted,
  StepFailed,
  StepCancelled,
  RetryLater,
  StepStartedTwice,
  TimerFired,
  SlotTimedOut,
  SlotAbandoned,
  CancelRequested,
  TerminateRequested,
  SignalReceived,
  UpdateRequested,
  ChildEnded,
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
/** The run waits until `fireAt`, or ends something then. */
export const TimerStarted = z.object({
  type: z.literal("TimerStarted"),
  slot: Slot,
  fireAt: EpochMs,
  /** Timers that the workflow did not ask for: its start is delayed, its time-out, the deadline of its clean-up. */
  for: z.enum(["delay", "timeout", "cleanup"]).optional(),
});
/** The run asks for a child run. Its RunStarted follows once this is stored. */
export const ChildScheduled = z.object({
  type: z.literal("ChildScheduled"),
  slot: Slot,
  /** The child's id. */
  run: RunId,
  workflow: Name,
  version: z.int().min(1),
  input: Payload,
  onParentClose: ParentClosePolicy,
  delayMs: Ms.optional(),
  timeoutMs: Ms.optional(),
  /** Set if the child has a trace of its own, linked with this run. Absent: it is in the trace of this run. */
  trace: z.literal("linked").optional(),
});
/** The run has taken note of a signal, and keeps it until the workflow asks for it. */
export const SignalAccepted = z.object({ type: z.literal("SignalAccepted"), id: z.string(), name: Name });
/** A signal that the workflow does not know, or whose payload does not fit. */
export const SignalRefused = z.object({
  type: z.literal("SignalRefused"),
  id: z.string(),
  name: Name,
  error: Failure,
});
/** An update is valid, and its handler works on it. */
export const UpdateAccepted = z.object({ type: z.literal("UpdateAccepted"), id: z.string(), name: Name });
/** An update was turned down before it changed anything. */
export const UpdateRefused = z.object({ type: z.literal("UpdateRefused"), id: z.string(), error: Failure });
/** An update is done; this is its answer. */
export const UpdateCompleted = z.object({ type: z.literal("UpdateCompleted"), id: z.string(), output: Payload });
/** The handler of an update threw. */
export const UpdateFailed = z.object({ type: z.literal("UpdateFailed"), id: z.string(), error: Failure });
/** The code goes the new way at this place: `w.patched(id)` was true. */
export const Patched = z.object({ type: z.literal("Patched"), id: z.string() });
/** What `w.sideEffect` returned or threw; every replay gets it from here. */
export const SideEffectRecorded = z.object({
  type: z.literal("SideEffectRecorded"),
  value: Payload,
  /** Set if the function threw. */
  error: Failure.optional(),
});
/** The run's time is up: it is cancelled, and will fail with a TIMEOUT. */
export const RunTimedOut = z.object({ type: z.literal("RunTimedOut"), timeoutMs: Ms });
/** The run goes on as if it had been started anew: same id, a history that begins here. */
export const RunContinued = z.object({
  type: z.literal("RunContinued"),
  /** The stream sequence of the inbox message that led to it: the new life begins with the one after that. */
  after: z.int().min(1),
  /** When, by the time of the history. */
  at: EpochMs,
  /** What it starts with, as if it were in the inbox: slots and signals not yet asked for are carried on. */
  start: RunStarted,
});
export type RunContinued = z.infer<typeof RunContinued>;
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
  cleanupMs: Ms.optional(),
});
/** The workflow function has ended, but slots are open or compensations to do before the run may close. */
export const RunClosing = z.object({
  type: z.literal("RunClosing"),
  outcome: z.enum(["completed", "failed", "cancelled", "continued"]),
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
/** The end: the run was stopped without clean-up. What it had open is removed, what still works is ignored. */
export const RunTerminated = z.object({
  type: z.literal("RunTerminated"),
  reason: z.string(),
  /** Children that are told so, and how. */
  children: z.array(z.object({ run: RunId, slot: Slot, how: z.enum(["terminate", "cancel"]) })).optional(),
});

/** One thing that a decision says. */
export const RunEvent = z.discriminatedUnion("type", [
  StepScheduled,
  TimerStarted,
  RetryScheduled,
  StepRescheduled,
  SlotsCancelled,
  ProgressReported,
  CancelAccepted,
  ChildScheduled,
  SignalAccepted,
  SignalRefused,
  UpdateAccepted,
  UpdateRefused,
  UpdateCompleted,
  UpdateFailed,
  Patched,
  SideEffectRecorded,
  RunTimedOut,
  RunContinued,
  RunClosing,
  CompensationFailed,
  RunCompleted,
  RunFailed,
  RunCancelled,
  RunTerminated,
]);
export type RunEvent = z.infer<typeof RunEvent>;
export type RunTerminated = z.infer<typeof RunTerminated>;
export type TerminalEvent = z.infer<
  typeof RunCompleted | typeof RunFailed | typeof RunCancelled | typeof RunTerminated
>;

const TERMINAL: ReadonlySet<string> = new Set(["RunCompleted", "RunFailed", "RunCancelled", "RunTerminated"]);

export function isTerminal(event: RunEvent): event is TerminalEvent {
  return TERMINAL.has(event.type);
}

/**
 * The events of a journal message that can be read, one by one: of a message that an older release wrote, or that was
 * written by hand, one event may be at fault and the others not. Never throws.
 */
export function readableEvents(text: string): RunEvent[] {
  try {
    const { v: version, type, events } = JSON.parse(text);
    if (version !== 1 || type !== "Decision" || !Array.isArray(events)) return [];
    return events.flatMap((event) => RunEvent.safeParse(event).data ?? []);
  } catch {
    return [];
  }
}

/** Where the part of a history begins that a run is rebuilt from; absent: with its first message. */
export const Segment = z.object({
  /** The journal's part: messages after this stream sequence. The first of them holds RunContinued. */
  journalAfter: z.int().min(0),
  /** The inbox's part: messages after this stream sequence. */
  inboxAfter: z.int().min(0),
});
export type Segment = z.infer<typeof Segment>;

/** One journal message: all events of one decision, so that they are stored together or not at all. */
export const Decision = z.object({
  v,
  type: z.literal("Decision"),
  segment: Segment.optional(),
  /** The stream sequence of the last inbox message that this decision consumed. */
  upTo: z.int().min(1),
  /** Whose mailbox wrote it. With `upTo` it tells a lost acknowledgement from a rival's decision. */
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
  /** Set if it undoes work after the run has settled. */
  compensation: z.literal(true).optional(),
  /** Set if it may have been published before: look for the slot's outcome before its first delivery is run, too. */
  republished: z.literal(true).optional(),
  trace: Trace.optional(),
  /** The run's. */
  baggage: Baggage.optional(),
});
export type RunStep = z.infer<typeof RunStep>;

/**
 * Deliveries of the command up to this one are accounted for: each ended with a record or an outcome, or through no fault
 * of the command. What was delivered later and left no record may have ended its process.
 */
const Explained = z.int().min(0).optional();

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
  explained: Explained,
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
  /** Its worker was told to stop while the attempt ran. If nothing follows, the worker was killed for that. */
  stopping: z.literal(true).optional(),
  /**
   * The attempt is the only one in its process, because earlier deliveries of the command ended without a record: this is
   * the n-th such start in a row. If nothing follows, the attempt ended its process.
   */
  alone: z.int().min(1).optional(),
  explained: Explained,
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
  /**
   * Its code blocked the event loop of a coordinator and was stopped, the last time `at`. The first time it is tried
   * again; from the second time on, only by processes that were started later. `trial`: a coordinator tries it.
   */
  stopped: z
    .object({
      times: z.int().min(1),
      at: z.number(),
      trial: z.object({ by: z.string(), at: z.number() }).optional(),
    })
    .optional(),
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
  /** It is about slots that were asked for up to this inbox sequence: `after` of the command says. */
  upTo: z.int().min(0).optional(),
});
export type CancelSlots = z.infer<typeof CancelSlots>;

/** The version of Stepstream. */
const release = z.string().max(64).optional();
/** When the process sent this, by its own clock. Epoch milliseconds. */
const processClock = z.number().optional();
/** What nats-server has not permitted in the last minute: `publish <permission>`, `subscribe <permission>`. */
const Denied = z.array(z.string().max(400)).max(100);

/** "I am here" (or leaving), said by each coordinator once a second. */
export const Presence = z.object({
  v,
  type: z.literal("Presence"),
  /** The coordinator's own, unique for each process; also a token of its subjects. */
  id: Name,
  leaving: z.boolean(),
  /** The workflows it runs, as `<name>@<version>`. */
  workflows: z.array(z.string().max(200)).max(10_000).optional(),
  /** In the answer to a roll call: for each of them, a hash of its code. Two coordinators should have the same. */
  code: z.record(z.string().max(200), z.string().max(64)).optional(),
  release,
  at: processClock,
  denied: Denied.optional(),
});
export type Presence = z.infer<typeof Presence>;

/** Who is there? Coordinators answer with `Presence`, workers with `WorkerPresence`. */
export const RollCall = z.object({ v, type: z.literal("RollCall") });
export type RollCall = z.infer<typeof RollCall>;

const BreakerState = z.enum(["closed", "open", "halfOpen"]);

/** What a worker answers to a roll call. */
export const WorkerPresence = z.object({
  v,
  type: z.literal("WorkerPresence"),
  worker: z.string(),
  steps: z.array(
    z.object({
      step: Name,
      /** Attempts it makes at a time. */
      concurrency: z.int().min(1),
      /** Attempts under way. */
      running: z.int().min(0),
      /** Absent where the step has no circuit breaker. */
      breaker: BreakerState.optional(),
      /** Handlers that this worker found started twice, in the last hour. Absent for none. */
      startedTwice: z.int().min(1).optional(),
    }),
  ),
  release,
  at: processClock,
  denied: Denied.optional(),
});
export type WorkerPresence = z.infer<typeof WorkerPresence>;

/** Asks a run something. It is answered from what the run is, and changes nothing. */
export const QueryRun = z.object({ v, type: z.literal("QueryRun"), name: Name, input: Payload });
export type QueryRun = z.infer<typeof QueryRun>;
/** The answer to a query: one of the two. */
export const QueryAnswer = z.object({
  v,
  type: z.literal("QueryAnswer"),
  output: Payload,
  error: Failure.optional(),
});
export type QueryAnswer = z.infer<typeof QueryAnswer>;

/** An inbox message of a run whose workflow the partition's coordinator does not know, handed to one that does. */
export const GuestMessage = z.object({
  v,
  type: z.literal("GuestMessage"),
  /** The coordinator that has the message in hand, and waits for a GuestDone. */
  from: Name,
  run: RunId,
  /** Its stream sequence. */
  seq: z.int().min(1),
  /** The run was parked, and the message is not in hand: its record stands for it, until what the run waits for is stored. */
  parked: z.literal(true).optional(),
});
export type GuestMessage = z.infer<typeof GuestMessage>;
/** A coordinator has done with such a message: it may be acknowledged, or is to come again after `againMs`. */
export const GuestDone = z.object({
  v,
  type: z.literal("GuestDone"),
  run: RunId,
  seq: z.int().min(1),
  againMs: Ms.optional(),
  /** The run is parked there: its record stays. */
  parked: z.literal(true).optional(),
});
export type GuestDone = z.infer<typeof GuestDone>;

/** A worker's circuit breaker changed its state. */
export const BreakerChanged = z.object({
  v,
  type: z.literal("BreakerChanged"),
  worker: z.string(),
  step: Name,
  state: BreakerState,
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
