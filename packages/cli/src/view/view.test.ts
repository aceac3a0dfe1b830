import type { InboxMessage, RunEvent } from "@stepstream/contracts";
import type { HistoryEntry } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { linesOf } from "./entry.ts";
import { emptyView, type RunView, see } from "./run-view.ts";
import { tree } from "./tree.ts";
import { waitsOf } from "./waits.ts";

/** A history as it would be told: times in seconds. */
class Told {
  readonly entries: HistoryEntry[] = [];
  #seq = 0;
  inbox(at: number, message: object): this {
    return this.#add(at, { kind: "inbox", message: { v: 1, ...message } as InboxMessage });
  }
  decided(at: number, ...events: object[]): this {
    const message = { v: 1 as const, type: "Decision" as const, upTo: 1, by: "c", events: events as RunEvent[] };
    return this.#add(at, { kind: "journal", message });
  }
  failed(at: number, slot: number, attempt: number, message: string, delayMs?: number): this {
    const error = { name: "Error", code: "ERROR", message };
    return this.#add(at, {
      kind: "attempt",
      message: {
        v: 1,
        type: "AttemptFailed",
        slot,
        step: "charge",
        attempt,
        error,
        ...(delayMs && { delayMs }),
      } as never,
    });
  }
  #add(at: number, entry: object): this {
    this.entries.push({ seq: ++this.#seq, at: at * 1_000, ...entry } as HistoryEntry);
    return this;
  }
  get view(): RunView {
    const view = emptyView("order-1");
    see(view, this.entries);
    return view;
  }
}
const told = () =>
  new Told().inbox(0, { type: "RunStarted", id: "s", workflow: "order", version: 2, input: { cents: 5 } });
const charge = { type: "StepScheduled", slot: 1, step: "charge", input: {} };
const error = { name: "Error", code: "ERROR", message: "no luck" };

const plain = (view: RunView, now = 10, most = 100) =>
  tree({ view, children: new Map() }, { paint: (_, text) => text, now: now * 1_000, most }).join("\n");
const waits = (view: RunView, around = {}) => waitsOf(view, { now: 10_000, ...around });

describe("what a run waits for", () => {
  it("a step: queued, between attempts, under way, without a worker", () => {
    const queued = told().decided(1, charge);
    expect(waits(queued.view)).toEqual([
      { slot: 1, what: "step charge", why: "queued, or in its first attempt, for 9.0 s" },
    ]);
    const between = queued.failed(8, 1, 1, "the bank is closed", 5_000).view;
    expect(waits(between)[0]!.why).toBe(
      "attempt 1 failed 2 s ago: ERROR: the bank is closed; the next one comes in 3.0 s",
    );
    expect(waits(between, { now: 14_000 })[0]!.why).toContain("attempt 2 is queued or under way");
    const why = (step: string, said: { running?: number; breaker?: "open" } = {}) => {
      const steps = [{ step, concurrency: 2, running: 0, ...said }];
      const workers = new Map([["w", { steps, release: undefined, aheadMs: undefined, denied: [] }]]);
      return waits(between, { workers })[0]!.why;
    };
    expect(why("ship")).toContain("NO WORKER that is up does this step");
    expect(why("charge")).toBe(waits(between)[0]!.why);
    expect(why("charge", { breaker: "open" })).toContain("the CIRCUIT BREAKER is open in 1 of 1 workers");
    expect(why("charge", { running: 2 })).toContain("all 2 places of its workers are taken");
  });

  it("a timer, a child, a start that is delayed", () => {
    const view = told().decided(
      1,
      { type: "TimerStarted", slot: 1, fireAt: 3_610_000 },
      { type: "ChildScheduled", slot: 2, run: "ship-1", workflow: "ship", version: 1, onParentClose: "cancel" },
    ).view;
    const around = { children: new Map([["ship-1", "parked"]]) };
    expect(waits(view, around)).toEqual([
      { slot: 1, what: "a timer", why: "fires in 1 h, at 1970-01-01 01:00:10.000" },
      { slot: 2, what: "child ship-1 (ship@1)", why: "it is parked, for 9.0 s" },
    ]);
    const delayed = told().decided(0, { type: "TimerStarted", slot: 1, fireAt: 60_000, for: "delay" }).view;
    expect(waits(delayed)).toEqual([
      { slot: 1, what: "its start", why: "fires in 50.0 s, at 1970-01-01 00:01:00.000" },
    ]);
  });

  it("says what it cannot know: a signal leaves nothing in the history until it comes", () => {
    const view = told().decided(0, { type: "TimerStarted", slot: 1, fireAt: 60_000, for: "timeout" }).view;
    expect(waits(view)).toHaveLength(1);
    expect(waits(view)[0]!.what).toBe("a signal, an update or a condition");
    expect(waits(view)[0]!.why).toContain("stepstream replay order-1");
  });

  it("a coordinator, as long as nothing was decided", () => {
    expect(waits(told().view)).toHaveLength(1);
    expect(waits(told().view)[0]).toMatchObject({ what: "a coordinator", why: expect.stringContaining("order@2") });
  });

  it("nothing, once it is over; what was asked to stop is waited for", () => {
    const stopping = told()
      .decided(1, charge)
      .decided(2, { type: "SlotsCancelled", slots: [1], reason: "enough" });
    expect(waits(stopping.view)[0]!.why).toContain("was asked to stop");
    expect(waits(stopping.decided(3, { type: "RunCancelled", reason: "enough" }).view)).toEqual([]);
  });
});

describe("the tree", () => {
  it("shows steps with their attempts, timers, progress, and how it ended", () => {
    const view = told()
      .decided(1, charge, { type: "ProgressReported", step: 1, total: 4, name: "charging", percent: 25 })
      .failed(2, 1, 1, "the bank\nis closed", 100)
      .inbox(3, { type: "StepCompleted", slot: 1, step: "charge", attempt: 2, output: 1 })
      .decided(3, { type: "TimerStarted", slot: 2, fireAt: 5_000 })
      .inbox(5, { type: "TimerFired", slot: 2 })
      .decided(5, { type: "StepScheduled", slot: 3, step: "ship", input: {} })
      .inbox(6, { type: "StepFailed", slot: 3, step: "ship", attempt: 1, error })
      .decided(6, { type: "RunClosing", outcome: "failed" }, { ...charge, slot: 4, step: "refund", compensation: true })
      .inbox(7, { type: "StepCompleted", slot: 4, step: "refund", attempt: 1, output: 1 })
      .decided(7, { type: "RunFailed", error }).view;
    expect(plain(view)).toBe(
      [
        "order-1  order@2  failed  7.0 s",
        `[${"█".repeat(6)}${"░".repeat(18)}]  25 %  1 of 4  charging`,
        "├─ ✓ 1 charge 2.0 s attempt 2",
        "│    attempt 1: ERROR: the bank is closed",
        "├─ ✓ 2 sleep 2.0 s 2.0 s",
        "├─ ✗ 3 ship 1.0 s",
        "│    ERROR: no luck",
        "└─ ✓ 4 refund 1.0 s compensation",
        "ERROR: no luck",
      ].join("\n"),
    );
  });

  it("keeps what is open where there is too much to show", () => {
    const many = told();
    for (let slot = 1; slot <= 50; slot++) many.decided(1, { ...charge, slot });
    for (let slot = 1; slot <= 50; slot++)
      if (slot !== 7) many.inbox(2, { type: "StepCompleted", slot, step: "charge", attempt: 1, output: 1 });
    const lines = plain(many.view, 10, 5).split("\n");
    expect(lines).toHaveLength(7);
    expect(lines[1]).toBe("├─ … 45 more, that are over");
    expect(lines[2]).toContain("● 7 charge");
    expect(lines.slice(3).map((line) => line.split(" ")[2])).toEqual(["47", "48", "49", "50"]);
  });

  it("shows children below their slot, and theirs", () => {
    const child = {
      type: "ChildScheduled",
      slot: 1,
      run: "ship-1",
      workflow: "ship",
      version: 1,
      onParentClose: "cancel",
    };
    const parent = told().decided(1, child).view;
    const its = emptyView("ship-1");
    see(its, told().decided(1, { ...charge, step: "pack" }).entries);
    const family = { view: parent, children: new Map([["ship-1", { view: its, children: new Map() }]]) };
    const lines = tree(family, { paint: (_, text) => text, now: 10_000, most: 9 });
    expect(lines.slice(1)).toEqual(["└─ ● 1 child ship-1 (ship@1) 9.0 s", "   └─ ● 1 pack 9.0 s"]);
  });
});

it("a new life ends what the one before had open, and late results change nothing", () => {
  const started = { v: 1, type: "RunStarted", id: "s", workflow: "order", version: 2 };
  const story = told().decided(1, charge).decided(2, { type: "RunContinued", after: 2, at: 2_000, start: started });
  story.entries.push({
    ...story.entries[0]!,
    kind: "inbox",
    message: { v: 1, type: "StepCompleted", slot: 1 },
    late: true,
  } as never);
  const { view } = story;
  expect([view.lives, view.slots.get(1)!.state, view.lateResults]).toEqual([2, "ended", 1]);
});

it("a message that a timer has fired before its time is marked, and the timer stays open", () => {
  const story = told().decided(1, { type: "TimerStarted", slot: 1, fireAt: 9_000 });
  story.entries.push({
    ...story.entries[0]!,
    kind: "inbox",
    message: { v: 1, type: "TimerFired", slot: 1 },
    early: true,
  } as never);
  expect(story.view.slots.get(1)!.state).toBe("open");
  expect(story.entries.flatMap(linesOf).at(-1)).toMatchObject({ what: "TimerFired", slot: 1, ignored: "early" });
});

it("a line of history says what is worth a word, on one line", () => {
  const { entries } = told()
    .decided(1, charge, { type: "TimerStarted", slot: 2, fireAt: 0 })
    .failed(2, 1, 1, "a\nb", 7);
  expect(entries.flatMap(linesOf).map(({ what, slot, text }) => [what, slot, text])).toEqual([
    ["RunStarted", undefined, 'order version 2 input {"cents":5}'],
    ["StepScheduled", 1, "charge input {}"],
    ["TimerStarted", 2, "at 1970-01-01T00:00:00.000Z"],
    ["AttemptFailed", 1, "charge attempt 1 delayMs 7 ERROR: a b"],
  ]);
});
