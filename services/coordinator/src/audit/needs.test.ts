import type { InboxMessage, RunEvent } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { needsOf } from "./needs.ts";

const v = 1;
const error = { name: "Error", code: "ERROR", message: "" };

/** Events and messages by a letter each; messages are 1,000 ms apart, the first at 1,000. */
const EVENTS: Record<string, RunEvent> = {
  S: { type: "StepScheduled", slot: 1, step: "pay" },
  T: { type: "TimerStarted", slot: 2, fireAt: 2_500 },
  C: {
    type: "ChildScheduled",
    slot: 3,
    run: "kid",
    workflow: "w",
    version: 1,
    onParentClose: "cancel",
  } as RunEvent,
  A: { type: "ChildScheduled", slot: 4, run: "free", workflow: "w", version: 1, onParentClose: "abandon" } as RunEvent,
  R: { type: "RetryScheduled", slot: 1, attempt: 3, fireAt: 2_500 },
  O: { type: "StepRescheduled", slot: 1, attempt: 3 },
  X: { type: "SlotsCancelled", slots: [1, 2, 3, 4], reason: "" },
  E: { type: "RunCompleted" },
};
const MESSAGES: Record<string, InboxMessage> = {
  s: { v, type: "RunStarted", id: "x", workflow: "w", version: 1 },
  c: { v, type: "StepCompleted", slot: 1, step: "pay", attempt: 1 },
  o: { v, type: "StepCompleted", slot: 1, step: "pay", attempt: 1, after: 3 },
  w: { v, type: "StepCompleted", slot: 1, step: "other", attempt: 1 },
  f: { v, type: "StepFailed", slot: 1, step: "pay", attempt: 1, error },
  t: { v, type: "TimerFired", slot: 2 },
  r: { v, type: "RetryLater", slot: 1, step: "pay", attempt: 3, delayMs: 1_000 },
  a: { v, type: "SlotAbandoned", slot: 1 },
  i: { v, type: "TimerFired", slot: 1 },
  k: { v, type: "ChildEnded", slot: 3, child: "kid", outcome: "completed" },
  g: { v, type: "SignalReceived", id: "1", name: "go" },
};

/** The inbox begins at sequence 10. */
function spell(events: string, inbox: string): string {
  const received = [...inbox].map((letter, i) => ({ seq: 10 + i, at: 1_000 * (i + 1), message: MESSAGES[letter]! }));
  const { over, needs } = needsOf({ events: [...events].map((letter) => EVENTS[letter]!), inbox: received });
  return over ? "over" : needs.map(({ slot, kind }) => `${slot} ${kind}`).join(", ");
}

describe("what a run waits for", () => {
  it.each<[string, string, string, string]>([
    ["its command, of a step", "S", "s", "1 command"],
    ["a timer, of a sleep", "T", "s", "2 timer"],
    ["the child", "C", "s", "3 child"],
    ["nothing, of a run that takes signals", "", "sg", ""],
    ["a timer, of a step that is to be retried later", "SR", "sr", "1 timer"],
    ["its command again, once that is over", "SRO", "sri", "1 command"],
    [
      "its end, of a step that is being cancelled, and of a child; timers and what is left alone end at once",
      "STCAX",
      "s",
      "1 cancel, 3 child",
    ],
    ["nothing, of a step that was waiting when it was cancelled", "SRX", "sr", ""],
    ["nothing, once it is over", "SE", "sc", "over"],
  ])("%s", (_sentence, events, inbox, needs) => expect(spell(events, inbox)).toBe(needs));
});

describe("an outcome in the inbox is all that a slot needs", () => {
  it.each<[string, string, string, string]>([
    ["of a step that completed", "S", "sc", ""],
    ["of a step that failed", "S", "sf", ""],
    ["of a step that is to be retried: its coordinator decides next", "S", "sr", ""],
    ["of a timer", "T", "sst", ""],
    ["of a wait for the next attempt", "SR", "srgi", ""],
    ["of a child", "C", "sk", ""],
    ["of a step that was given up", "SX", "sa", ""],
    ["but not of a step that was not asked to stop", "S", "sa", "1 command"],
    ["but not one of another step", "S", "sw", "1 command"],
    ["but not one for a run that had the id before", "S", "so", "1 command"],
    ["but not a timer's that came early", "T", "st", "2 timer"],
    ["but not one that fired for an earlier wait", "SR", "si", "1 timer"],
  ])("%s", (_sentence, events, inbox, needs) => expect(spell(events, inbox)).toBe(needs));
});
