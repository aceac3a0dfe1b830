import { describe, expect, it } from "vitest";
import { decodeInbox, fromStart, SENDER_OF } from "./inbox.ts";
import { InboxMessage } from "./messages.ts";
import { SENDERS, Subjects } from "./subjects.ts";

const subjects = new Subjects("dev", 8);
const error = { name: "Error", code: "ERROR", message: "no", detail: {} };
const slot = { slot: 1, step: "charge", attempt: 1 };
const MESSAGES: Record<InboxMessage["type"], object> = {
  RunStarted: { id: "a", workflow: "order", version: 1 },
  SignalReceived: { id: "a", name: "go" },
  UpdateRequested: { id: "a", name: "add" },
  CancelRequested: { id: "a", reason: "enough" },
  TerminateRequested: { id: "a", reason: "enough" },
  StepCompleted: slot,
  StepFailed: { ...slot, error },
  StepCancelled: slot,
  RetryLater: { ...slot, delayMs: 60_000 },
  StepStartedTwice: { ...slot, worker: "w", start: "1" },
  TimerFired: { slot: 1 },
  SlotTimedOut: { slot: 1, kind: "total" },
  SlotAbandoned: { slot: 1 },
  ChildEnded: { slot: 1, child: "kid", outcome: "completed" },
};

describe("a message of an inbox", () => {
  const types = InboxMessage.options.map((option) => option.shape.type.value);

  it.each(types)("%s is read on the subject of the role that may send it, and of no other", (type) => {
    const text = JSON.stringify({ v: 1, type, ...MESSAGES[type] });
    for (const sender of SENDERS) {
      const read = () => decodeInbox(subjects.inboxFrom(sender, "order-1"), text);
      if (sender === SENDER_OF[type]) expect(read()).toMatchObject({ type });
      else
        expect(read).toThrow(
          expect.objectContaining({
            code: "MALFORMED_MESSAGE",
            message: expect.stringContaining(`${type} is not for a ${sender} to send`),
          }),
        );
    }
  });

  it("is not read on a subject that is of no role", () => {
    for (const subject of ["dev.inbox.5.order-1", "dev.inbox.5.order-1.operator", "dev.journal.5.order-1"])
      expect(() => decodeInbox(subject, '{"v":1,"type":"TimerFired","slot":1}')).toThrow("not for");
  });
});

describe("an inbox", () => {
  const spelled = (letters: string) =>
    [...letters].map((letter) => {
      const type = ({ s: "RunStarted", S: "RunStarted", w: "StepCompleted", c: "CancelRequested" } as const)[letter]!;
      const sender = letter === "S" ? "worker" : SENDER_OF[type];
      return { letter, subject: subjects.inboxFrom(sender, "order-1"), text: JSON.stringify({ v: 1, type }) };
    });
  it.each([
    ["begins with its start", "swc", "swc"],
    ["does not contain what was there before its start", "wsw", "sw"],
    ["does not begin with what looks like a start, from a worker", "Sws", "s"],
    ["that has no start is what it is", "wc", "wc"],
    ["may be empty", "", ""],
  ])("%s", (_sentence, stored, left) => {
    expect(
      fromStart(spelled(stored))
        .map(({ letter }) => letter)
        .join(""),
    ).toBe(left);
  });
});
