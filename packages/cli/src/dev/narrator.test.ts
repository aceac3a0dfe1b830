import { type Decision, type InboxMessage, type RunEvent, SENDER_OF, type SubjectParts } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { Narrator } from "./narrator.ts";

type Heard = InboxMessage | RunEvent[];

/** What is told of one run, r, when this is heard, 100 ms apart. */
function told(...all: Heard[]): string[] {
  const narrator = new Narrator();
  return all.flatMap((heard, i) => {
    const decided = Array.isArray(heard);
    const message = decided ? ({ v: 1, type: "Decision", upTo: 1, by: "m", events: heard } satisfies Decision) : heard;
    const parts = decided ? JOURNAL : { ...INBOX, sender: SENDER_OF[heard.type] };
    const lines = narrator.tell(parts, JSON.stringify(message), 100 * i);
    return lines.map(({ text }) => text);
  });
}

const JOURNAL: SubjectParts = { kind: "journal", partition: 0, run: "r" };
const INBOX: SubjectParts = { kind: "inbox", partition: 0, run: "r", sender: "client" };

const started: InboxMessage = { v: 1, type: "RunStarted", id: "1", workflow: "order", version: 2, input: {} };
const charge: RunEvent = { type: "StepScheduled", slot: 1, step: "charge", input: {} };
const charged: InboxMessage = { v: 1, type: "StepCompleted", slot: 1, step: "charge", attempt: 1, output: {} };
const error = { name: "Error", code: "INTERNAL", message: "no parcels\n\u001b[31mtoday", detail: {} };

describe("the narrator", () => {
  it("tells a run with its steps, and how long they took", () => {
    expect(told(started, [charge], charged, [{ type: "RunCompleted", output: 1 }])).toEqual([
      "r started: order@2",
      "r #1 charge",
      "r #1 charge done in 100 ms",
      "r completed in 300 ms",
    ]);
  });

  it("tells the outcome of a slot once: a second result changes nothing", () => {
    const failed: InboxMessage = {
      v: 1,
      type: "StepFailed",
      slot: 1,
      step: "charge",
      attempt: 1,
      error,
    } as InboxMessage;
    expect(told(started, [charge], charged, charged, failed)).toEqual([
      "r started: order@2",
      "r #1 charge",
      "r #1 charge done in 100 ms",
    ]);
  });

  it("tells where in the workflow it went wrong", () => {
    const stack = "Error: odd\n    at order (/shop/src/workflows.ts:3:9)\n    at node:internal/x:1:1";
    expect(told(started, [{ type: "RunFailed", error: { ...error, message: "odd", stack } }])).toEqual([
      "r started: order@2",
      "r failed in 100 ms: odd\n    at order (shop/src/workflows.ts:3:9)",
    ]);
  });

  it("tells all that one decision says", () => {
    const undo: RunEvent = { type: "StepScheduled", slot: 3, step: "refund", input: {}, compensation: true };
    expect(told([charge, { type: "TimerStarted", slot: 2, fireAt: 2_000 }, undo])).toEqual([
      "r #1 charge",
      "r #2 waits 2.0 s",
      "r #3 refund (compensation)",
    ]);
  });

  it("tells errors on one line, without what would colour the terminal", () => {
    expect(told([{ type: "RunFailed", error }])).toEqual(["r failed: no parcels today"]);
  });

  it("does without what was before it came", () => {
    expect(told(charged, [{ type: "RunCancelled", reason: "enough" }])).toEqual(["r #1 done", "r cancelled: enough"]);
  });

  it("says nothing of what it cannot read: large messages are kept elsewhere", () => {
    const narrator = new Narrator();
    const ref = JSON.stringify({ v: 1, type: "Ref", key: `r/${"0".repeat(64)}`, bytes: 300_000, chunk: 100_000 });
    for (const text of [ref, "", "{", "null"])
      for (const parts of [INBOX, JOURNAL]) expect(narrator.tell(parts, text, 0)).toEqual([]);
  });

  it("says nothing of a message whose sender may not send it: coordinators do not take it", () => {
    const narrator = new Narrator();
    expect(narrator.tell({ ...INBOX, sender: "worker" }, JSON.stringify(started), 0)).toEqual([]);
    expect(narrator.tell(INBOX, JSON.stringify(charged), 0)).toEqual([]);
  });
});
