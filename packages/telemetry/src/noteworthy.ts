import type { Attributes } from "@opentelemetry/api";
import type { InboxMessage, RunEvent } from "@stepstream/contracts";
import * as at from "./attributes.ts";

/** What a span says of one moment: an event, named as in the run's history. */
export interface Note {
  readonly name: string;
  readonly attributes: Attributes;
}

/** What came to a run from outside, of which no other span tells. Payloads and outputs stay out. */
export function noteOfMessage(message: InboxMessage): Note | undefined {
  switch (message.type) {
    case "TimerFired":
      return note(message.type, { [at.SLOT]: message.slot });
    case "SignalReceived":
    case "UpdateRequested":
      return note(message.type, { "stepstream.name": message.name, "stepstream.id": message.id });
    case "CancelRequested":
    case "TerminateRequested":
      return note(message.type, { "stepstream.reason": message.reason });
    case "RetryLater":
      return note(message.type, {
        ...{ [at.SLOT]: message.slot, [at.STEP]: message.step, [at.ATTEMPT]: message.attempt },
        [at.BACKOFF_MS]: message.delayMs,
      });
    case "StepStartedTwice":
      return note(message.type, {
        ...{ [at.SLOT]: message.slot, [at.STEP]: message.step, [at.ATTEMPT]: message.attempt },
      });
    case "StepFailed":
      return note(message.type, {
        ...{ [at.SLOT]: message.slot, [at.STEP]: message.step, [at.ATTEMPT]: message.attempt },
        [at.ERROR_TYPE]: message.error.code,
      });
    case "SlotTimedOut":
      return note(message.type, { [at.SLOT]: message.slot, "stepstream.timeout": message.kind });
    case "SlotAbandoned":
      return note(message.type, { [at.SLOT]: message.slot });
    case "ChildEnded":
      return note(message.type, {
        ...{ [at.SLOT]: message.slot, "stepstream.child": message.child, [at.OUTCOME]: message.outcome },
        ...(message.error && { [at.ERROR_TYPE]: message.error.code }),
      });
    default:
      return undefined;
  }
}

/** What a run decided, of which no other span tells. */
export function noteOfEvent(event: RunEvent): Note | undefined {
  switch (event.type) {
    case "StepScheduled":
      if (!event.compensation) return undefined;
      return note(event.type, { [at.SLOT]: event.slot, [at.STEP]: event.step, [at.COMPENSATION]: true });
    case "TimerStarted":
      return note(event.type, {
        ...{ [at.SLOT]: event.slot, "stepstream.fire_at": new Date(event.fireAt).toISOString() },
        ...(event.for && { "stepstream.for": event.for }),
      });
    case "RetryScheduled":
      return note(event.type, {
        ...{ [at.SLOT]: event.slot, [at.ATTEMPT]: event.attempt },
        "stepstream.fire_at": new Date(event.fireAt).toISOString(),
      });
    case "ChildScheduled":
      return note(event.type, {
        ...{ [at.SLOT]: event.slot, "stepstream.child": event.run, "stepstream.child.workflow": event.workflow },
      });
    case "SlotsCancelled":
      return note(event.type, { "stepstream.slots": event.slots, "stepstream.reason": event.reason });
    case "SignalRefused":
    case "UpdateRefused":
    case "UpdateFailed":
      return note(event.type, { "stepstream.id": event.id, [at.ERROR_TYPE]: event.error.code });
    case "UpdateAccepted":
    case "UpdateCompleted":
      return note(event.type, { "stepstream.id": event.id });
    case "RunTimedOut":
      return note(event.type, { "stepstream.timeout_ms": event.timeoutMs });
    case "RunContinued":
      return note(event.type, { "stepstream.after": event.after });
    case "RunClosing":
      return note(event.type, { [at.OUTCOME]: event.outcome });
    case "CompensationFailed":
      return note(event.type, { [at.SLOT]: event.slot, [at.ERROR_TYPE]: event.error.code });
    default:
      return undefined;
  }
}

function note(name: string, attributes: Attributes): Note {
  return { name, attributes };
}
