import { DEADLINE, type InboxMessage, isTerminal, type RunEvent } from "@stepstream/contracts";
import type { Slot } from "../run/slot.ts";

/** What one open slot of a run waits for. It must be stored, or the slot waits for ever. */
export type Need =
  /** The command of a step that is queued or in its first or a later attempt. */
  | { readonly kind: "command"; readonly slot: number; readonly step: string }
  /** A timer. `at`: when it fires, where that is known. `timer`: its number, which for a deadline is not the slot's. */
  | { readonly kind: "timer"; readonly slot: number; readonly timer: number; readonly at: number | undefined }
  /** A step that is being cancelled: its end, which the coordinator that holds the run sees to. */
  | { readonly kind: "cancel"; readonly slot: number; readonly step: string }
  /** A child run that has not ended, or whose end the run has not received. */
  | { readonly kind: "child"; readonly slot: number; readonly run: string };

/** What a run waits for, as its history says. */
export interface Needs {
  /** Its history has an end. */
  readonly over: boolean;
  /** One for each slot that is open. Empty: it waits for a message from outside, or has only just begun. */
  readonly needs: readonly Need[];
}

/** A history, from where the run last continued as new. */
export interface Recorded {
  readonly continued?: { readonly after: number } | undefined;
  readonly events: readonly RunEvent[];
  readonly inbox: readonly { readonly seq: number; readonly at: number; readonly message: InboxMessage }[];
}

/**
 * Reads from a history what the run waits for: without its code, so that anyone can who can read.
 *
 * D1. An outcome that is in the inbox ends its slot, whether or not a coordinator has folded it: nothing else is needed.
 * D2. For a history that was folded to its end, this is the same as {@link needsOfSlots} of its slots. (Asserted where checks are
 *     thorough, whenever a run is rebuilt.)
 *
 * Checked elsewhere:
 *   D1  needs.test.ts: an outcome in the inbox is all that a slot needs
 */
export function needsOf({ continued, events, inbox }: Recorded): Needs {
  const open = new Map<number, Open>();
  for (const event of events) {
    if (isTerminal(event)) return { over: true, needs: [] };
    apply(open, event);
  }
  const from = continued?.after ?? inbox[0]?.seq ?? 0;
  for (const { at, message } of inbox) {
    // About a slot of a run that had the id before.
    const isOld = "after" in message && message.after !== undefined && message.after < from;
    if ("slot" in message && !isOld) settle(open, message, at);
  }
  return { over: false, needs: [...open].map(([slot, one]) => needOf(slot, one)) };
}

/** The same of slots in memory. */
export function needsOfSlots(slots: Iterable<Slot>): Need[] {
  const needs: Need[] = [];
  for (const { slot, kind, state, fireAt, step, child } of slots) {
    if (state === "done") continue;
    if (kind === "child") needs.push({ kind: "child", slot, run: child!.run });
    else if (state === "cancelling") needs.push({ kind: "cancel", slot, step: step!.definition.name });
    else if (kind === "step" && state === "open") needs.push({ kind: "command", slot, step: step!.definition.name });
    else needs.push({ kind: "timer", slot, timer: slot, at: fireAt });
  }
  return needs;
}

/** The slot that a timer with this number is for. */
export function slotOfTimer(timer: number): number {
  return timer > DEADLINE ? timer - DEADLINE : timer;
}

/** A slot as its history leaves it. */
type Open =
  | { kind: "step"; step: string; attempt: number; cancelled: boolean; fireAt: number | undefined }
  | { kind: "timer"; fireAt: number }
  | { kind: "child"; run: string; isAbandoned: boolean };

function needOf(slot: number, one: Open): Need {
  switch (one.kind) {
    case "timer":
      return { kind: "timer", slot, timer: slot, at: one.fireAt };
    case "child":
      return { kind: "child", slot, run: one.run };
    case "step":
      if (one.cancelled) return { kind: "cancel", slot, step: one.step };
      if (one.fireAt !== undefined) return { kind: "timer", slot, timer: slot, at: one.fireAt };
      return { kind: "command", slot, step: one.step };
    default:
      return one satisfies never;
  }
}

function apply(open: Map<number, Open>, event: RunEvent): void {
  switch (event.type) {
    case "StepScheduled":
      open.set(event.slot, { kind: "step", step: event.step, attempt: 1, cancelled: false, fireAt: undefined });
      break;
    case "TimerStarted":
      open.set(event.slot, { kind: "timer", fireAt: event.fireAt });
      break;
    case "ChildScheduled":
      open.set(event.slot, { kind: "child", run: event.run, isAbandoned: event.onParentClose === "abandon" });
      break;
    case "RetryScheduled":
    case "StepRescheduled": {
      const slot = open.get(event.slot);
      if (slot?.kind !== "step") break;
      slot.attempt = event.attempt;
      slot.fireAt = event.type === "RetryScheduled" ? event.fireAt : undefined;
      break;
    }
    case "SlotsCancelled":
      for (const number of event.slots) {
        const slot = open.get(number);
        // Of these another has to say that it has ended; the rest end at once.
        if (slot?.kind === "step" && slot.fireAt === undefined) slot.cancelled = true;
        else if (slot?.kind !== "child" || slot.isAbandoned) open.delete(number);
      }
      break;
    case "RunContinued":
      open.clear();
      break;
    default:
      break;
  }
}

function settle(open: Map<number, Open>, message: Extract<InboxMessage, { slot: number }>, at: number): void {
  const slot = open.get(message.slot);
  if (!slot || ("step" in message && slot.kind === "step" && message.step !== slot.step)) return;
  switch (message.type) {
    case "StepCompleted":
    case "StepFailed":
    case "StepCancelled":
    case "SlotTimedOut":
      if (slot.kind === "step") open.delete(message.slot);
      break;
    case "SlotAbandoned":
      if (slot.kind === "step" && slot.cancelled) open.delete(message.slot);
      break;
    case "RetryLater":
      // The coordinator decides next; of a slot that is being cancelled it is the end.
      if (slot.kind === "step" && (slot.cancelled || message.attempt > slot.attempt)) open.delete(message.slot);
      break;
    case "StepStartedTwice":
      break;
    case "TimerFired":
      // One for an earlier wait of the same slot came before this wait is over. So did one that was early.
      if (slot.kind !== "child" && slot.fireAt !== undefined && at >= slot.fireAt) open.delete(message.slot);
      break;
    case "ChildEnded":
      if (slot.kind === "child" && slot.run === message.child) open.delete(message.slot);
      break;
    default:
      message satisfies never;
  }
}
