import { type InboxMessage, SENDER_OF } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import type { Slot } from "../run/slot.ts";
import { answers } from "./commands.ts";

const v = 1;
const of = { slot: 1, step: "pay", attempt: 2, after: 7 };
const error = { name: "Error", code: "ERROR", message: "" };
const slot = { slot: 1, attempt: 2, after: 7 } as Slot;

describe("what became of a slot's command", () => {
  it.each<[string, boolean, InboxMessage]>([
    ["is said by its result", true, { v, type: "StepCompleted", ...of }],
    ["is said by its failure", true, { v, type: "StepFailed", ...of, error }],
    ["is said by the end of a step that was asked to stop", true, { v, type: "StepCancelled", ...of }],
    ["is said by its time-out", true, { v, type: "SlotTimedOut", slot: 1, kind: "total", after: 7 }],
    ["is said by a wait for the next attempt", true, { v, type: "RetryLater", ...of, attempt: 3, delayMs: 1 }],
    ["is not said by a wait for this attempt", false, { v, type: "RetryLater", ...of, delayMs: 1 }],
    ["is not said by a timer", false, { v, type: "TimerFired", slot: 1, after: 7 }],
    [
      "is not said by a second start, which changes nothing",
      false,
      { v, type: "StepStartedTwice", ...of, worker: "w" },
    ],
    ["is not said by another slot's result", false, { v, type: "StepCompleted", ...of, slot: 2 }],
    ["is not said by one for a run that had the id before", false, { v, type: "StepCompleted", ...of, after: 3 }],
  ])("%s", (_sentence, isSaid, message) => {
    const subject = `shop.inbox.0.r.${SENDER_OF[message.type]}`;
    expect(answers({ subject, text: JSON.stringify(message) }, slot)).toBe(isSaid);
  });
});
