import type { Failure, InboxMessage, Progress, RunEvent } from "@stepstream/contracts";
import type { HistoryEntry, RunState } from "@stepstream/sdk";

/** One attempt that failed. */
interface FailedAttempt {
  attempt: number;
  at: number;
  code: string;
  message: string;
  error: Failure;
  /** When the next one comes, in epoch milliseconds; absent if it was the last. */
  nextAt?: number;
}

/** One piece of work that the run asked for. Times are epoch milliseconds. */
export interface SlotView {
  slot: number;
  kind: "step" | "timer" | "child";
  /** The step, `child <workflow>`, or what the timer is for. */
  name: string;
  since: number;
  input?: unknown;
  compensation?: true;
  state: "open" | "completed" | "failed" | "cancelled" | "fired" | "ended";
  endedAt?: number;
  /** The attempt that ended it. */
  attempt?: number;
  attempts: FailedAttempt[];
  error?: Failure;
  /** Of a timer. */
  fireAt?: number;
  /** The child's id. */
  child?: string;
  /** It was asked to stop. */
  stopping?: true;
}

/** A run, as far as its history tells: no code of its workflow is needed. */
export interface RunView {
  run: string;
  workflow: string;
  version: number;
  status: Exclude<RunState, "parked">;
  startedAt: number;
  endedAt?: number;
  input?: unknown;
  output?: unknown;
  error?: Failure;
  reason?: string;
  parent?: { run: string; slot: number };
  /** Journal messages. 0: no coordinator has taken it up yet. */
  decisions: number;
  /** Starts of the workflow function: one more for each `continueAsNew`. */
  lives: number;
  slots: Map<number, SlotView>;
  progress?: Progress;
  /** Signals that it has taken note of, by name. */
  signals: Map<string, number>;
  cancel?: { reason: string; at: number };
  /** The workflow function has ended; it settles and compensates. */
  closing?: { outcome: string; error?: Failure };
  lateResults: number;
  /** Handlers that were started twice though the first start had not crashed. */
  startedTwice: number;
  /** Messages of its history that cannot be read. */
  unreadable: Unreadable[];
}

/** A message that cannot be read. */
interface Unreadable {
  seq: number;
  subject: string;
  why: string;
}

export function emptyView(run: string): RunView {
  return {
    run,
    workflow: "",
    version: 0,
    status: "running",
    startedAt: 0,
    decisions: 0,
    lives: 0,
    slots: new Map(),
    signals: new Map(),
    lateResults: 0,
    startedTwice: 0,
    unreadable: [],
  };
}

/** Folds more of the history into the view. */
export function see(view: RunView, entries: readonly HistoryEntry[]): void {
  for (const entry of entries) {
    switch (entry.kind) {
      case "inbox":
        if (entry.late) view.lateResults++;
        else if (!entry.early) happened(view, entry.message, entry.at);
        break;
      case "journal":
        view.decisions++;
        for (const event of entry.message.events) decided(view, event, entry.at);
        break;
      case "attempt": {
        const { message, at } = entry;
        const slot = view.slots.get(message.slot);
        if (message.type !== "AttemptFailed" || !slot) break;
        const { attempt, error, delayMs } = message;
        const next = delayMs === undefined ? {} : { nextAt: at + delayMs };
        slot.attempts.push({ attempt, at, code: error.code, message: error.message, error, ...next });
        break;
      }
      case "malformed":
        view.unreadable.push({ seq: entry.seq, subject: entry.subject, why: entry.error.message });
        break;
    }
  }
}

function happened(view: RunView, message: InboxMessage, at: number): void {
  const end = (slot: number, state: SlotView["state"], more: Partial<SlotView> = {}) => {
    const known = view.slots.get(slot);
    if (known?.state === "open") Object.assign(known, { state, endedAt: at, ...more });
  };
  switch (message.type) {
    case "RunStarted": {
      const { workflow, version, input, parent } = message;
      Object.assign(view, { workflow, version, input, startedAt: at, lives: 1, ...(parent && { parent }) });
      break;
    }
    case "StepCompleted":
      return end(message.slot, "completed", { attempt: message.attempt });
    case "StepFailed":
      return end(message.slot, "failed", { attempt: message.attempt, error: message.error });
    case "StepCancelled":
      return end(message.slot, "cancelled", { attempt: message.attempt });
    case "SlotAbandoned":
      return end(message.slot, "cancelled");
    case "SlotTimedOut":
      return end(message.slot, "failed", {
        error: { name: "TimeoutError", code: "TIMEOUT", message: `its ${message.kind} time-out is over` },
      });
    case "StepStartedTwice":
      view.startedTwice++;
      return;
    case "TimerFired": {
      // A timer of a step's retry bears the step's number.
      if (view.slots.get(message.slot)?.kind === "timer") end(message.slot, "fired");
      break;
    }
    case "ChildEnded": {
      const state = message.outcome === "terminated" ? "failed" : message.outcome;
      return end(message.slot, state, message.error ? { error: message.error } : {});
    }
    default:
      break;
  }
}

function decided(view: RunView, event: RunEvent, at: number): void {
  const open = (slot: SlotView) => view.slots.set(slot.slot, slot);
  switch (event.type) {
    case "StepScheduled": {
      const { slot, step, input, compensation } = event;
      open({
        slot,
        kind: "step",
        name: step,
        since: at,
        input,
        state: "open",
        attempts: [],
        ...(compensation && { compensation }),
      });
      break;
    }
    case "TimerStarted":
      open({
        slot: event.slot,
        kind: "timer",
        name: event.for ?? "sleep",
        since: at,
        state: "open",
        attempts: [],
        fireAt: event.fireAt,
      });
      break;
    case "ChildScheduled":
      open({
        slot: event.slot,
        kind: "child",
        name: `${event.workflow}@${event.version}`,
        since: at,
        input: event.input,
        state: "open",
        attempts: [],
        child: event.run,
      });
      break;
    case "RetryScheduled": {
      const last = view.slots.get(event.slot)?.attempts.at(-1);
      if (last) last.nextAt = event.fireAt;
      break;
    }
    case "SlotsCancelled":
      for (const number of event.slots) {
        const slot = view.slots.get(number);
        if (slot?.state !== "open") continue;
        // Timers end at once; of the others somebody has to say that they have.
        if (slot.kind === "timer") Object.assign(slot, { state: "cancelled", endedAt: at });
        else slot.stopping = true;
      }
      break;
    case "ProgressReported":
      view.progress = event;
      break;
    case "SignalAccepted":
      view.signals.set(event.name, (view.signals.get(event.name) ?? 0) + 1);
      break;
    case "CancelAccepted":
      view.cancel ??= { reason: event.reason, at };
      break;
    case "RunTimedOut":
      view.cancel ??= { reason: `its time-out of ${event.timeoutMs} ms is over`, at };
      break;
    case "RunClosing":
      view.closing = { outcome: event.outcome, ...(event.error && { error: event.error }) };
      break;
    case "RunContinued":
      view.lives++;
      delete view.closing;
      for (const slot of view.slots.values()) if (slot.state === "open") slot.state = "ended";
      break;
    case "RunCompleted":
      Object.assign(view, { status: "completed", endedAt: at, output: event.output });
      break;
    case "RunFailed":
      Object.assign(view, { status: "failed", endedAt: at, error: event.error });
      break;
    case "RunCancelled":
      Object.assign(view, { status: "cancelled", endedAt: at, reason: event.reason });
      break;
    case "RunTerminated":
      Object.assign(view, { status: "terminated", endedAt: at, reason: event.reason });
      break;
    default:
      break;
  }
  if (view.endedAt === undefined) return;
  // What was open when it ended is open no more; the run's own time-outs above all.
  for (const slot of view.slots.values())
    if (slot.state === "open") Object.assign(slot, { state: "ended", endedAt: at });
}
