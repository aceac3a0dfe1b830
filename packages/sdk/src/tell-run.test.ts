import {
  Decision,
  type InboxMessage,
  InvalidInputError,
  RunClosedError,
  type RunEvent,
  RunNotFoundError,
  RunStillGoingError,
  SignalRefusedError,
  toFailure,
  UpdateRefusedError,
  WorkflowTerminatedError,
} from "@stepstream/contracts";
import { MemoryServer } from "@stepstream/event-log/memory";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Client, connect } from "./client.ts";
import type { HandleOf } from "./run-handle.ts";
import { workflow } from "./workflow.ts";

const desk = workflow(
  "desk",
  {
    input: z.void(),
    output: z.void(),
    signals: { go: z.int() },
    queries: { total: z.int() },
    updates: { add: { input: z.int(), output: z.coerce.date() } },
  },
  async () => {},
);
const boom = toFailure(new Error("boom"));

let server: MemoryServer;
let client: Client;
let run: HandleOf<typeof desk>;

beforeEach(async () => {
  server = new MemoryServer({ partitions: 1 });
  client = await connect({ log: server.connect("client") });
  run = await client.start(desk, undefined, { id: "r1" });
});

/** The coordinator's part: what the next message to the run makes it say. */
function answer(...says: ((message: any) => RunEvent[])[]): InboxMessage[] {
  const heard: InboxMessage[] = [];
  const log = server.connect("coordinator");
  void log.consume({
    stream: "EVENTS",
    consumer: "inbox-0",
    filter: log.subjects.all.inbox(0),
    ackWaitMs: 30_000,
    demand: () => 10,
    onDelivery(delivery) {
      const message = JSON.parse(delivery.text) as InboxMessage;
      delivery.ack();
      if (message.type === "RunStarted") return;
      heard.push(message);
      const events = says.shift()?.(message) ?? [];
      if (events.length > 0) decide(delivery.seq, events);
    },
  });
  return heard;
}

function decide(upTo: number, events: RunEvent[]): void {
  const decision = Decision.parse({ v: 1, type: "Decision", upTo, by: "c.1", events });
  server.append(server.subjects.journal("r1"), JSON.stringify(decision));
}

describe("a message to a run", () => {
  it("is stored under its own id, and answered by the journal", async () => {
    const heard = answer(({ id }) => [{ type: "SignalAccepted", id, name: "go" }]);
    await run.signal("go", 1, { id: "once" });
    expect(heard).toEqual([{ v: 1, type: "SignalReceived", id: "once", name: "go", payload: 1 }]);
  });

  it("is not taken for another that is answered meanwhile", async () => {
    answer(
      () => [{ type: "SignalAccepted", id: "somebody else's", name: "go" }],
      ({ id }) => [{ type: "SignalAccepted", id, name: "go" }],
    );
    const first = run.signal("go", 1);
    const second = run.signal("go", 2);
    await second;
    const late = await Promise.race([first, Promise.resolve("still waits")]);
    expect(late).toBe("still waits");
  });

  it("that was sent and answered long before is answered by that", async () => {
    decide(1, [{ type: "SignalAccepted", id: "again", name: "go" }]);
    decide(2, [{ type: "ProgressReported", step: 1, total: 2, name: "x", percent: 50 }]);
    await run.signal("go", 1, { id: "again" });
  });

  it("is refused where the run refuses it, with what it said", async () => {
    answer(
      ({ id }) => [{ type: "SignalRefused", id, name: "go", error: boom }],
      ({ id }) => [{ type: "UpdateRefused", id, error: boom }],
      ({ id }) => [
        { type: "UpdateAccepted", id, name: "add" },
        { type: "UpdateFailed", id, error: boom },
      ],
      ({ id }) => [
        { type: "UpdateAccepted", id, name: "add" },
        { type: "UpdateCompleted", id, output: "2026-01-01" },
      ],
    );
    await expect(run.signal("go", 1)).rejects.toThrow(SignalRefusedError);
    await expect(run.update("add", 1)).rejects.toThrow(UpdateRefusedError);
    await expect(run.update("add", 1)).rejects.toThrow(/^boom$/);
    expect(await run.update("add", 1)).toEqual(new Date("2026-01-01"));
  });

  it("that does not fit is not sent", async () => {
    const heard = answer();
    await expect(run.signal("go", 1.5)).rejects.toThrow(InvalidInputError);
    await expect(run.update("add", "x" as any)).rejects.toThrow(InvalidInputError);
    expect(heard).toEqual([]);
  });

  it("to a run that is over, ends just then, or never was, says so", async () => {
    answer(() => [{ type: "RunCompleted" }]);
    await expect(run.signal("go", 1)).rejects.toThrow(RunClosedError);
    await expect(run.cancel()).rejects.toThrow(RunClosedError);
    await expect(client.handle(desk, "r2").signal("go", 1)).rejects.toThrow(RunNotFoundError);
  });

  it("to a run that goes on as new is still answered", async () => {
    const start = { v: 1, type: "RunStarted", id: "x", workflow: "desk", version: 1 } as const;
    answer(({ id }) => [
      { type: "RunContinued", after: 2, at: 1, start },
      { type: "SignalAccepted", id, name: "go" },
    ]);
    await run.signal("go", 1);
    expect((await run.status()).status).toBe("running");
  });

  it("may tell it to end at once, or how long its clean-up may take", async () => {
    const heard = answer(
      ({ id, reason, cleanupMs }) => [{ type: "CancelAccepted", id, reason, cleanupMs }],
      ({ reason }) => [{ type: "RunTerminated", reason }],
    );
    await run.cancel({ reason: "enough", cleanupDeadline: "1m" });
    await run.terminate({ reason: "now" });
    expect(heard).toMatchObject([{ reason: "enough", cleanupMs: 60_000 }, { type: "TerminateRequested" }]);
    await expect(run.result()).rejects.toThrow(WorkflowTerminatedError);
    expect((await run.status()).status).toBe("terminated");
  });
});

describe("a query", () => {
  it("is asked again until somebody answers", async () => {
    const log = server.connect("coordinator");
    let asked = 0;
    log.answer(log.subjects.all.queries(0), async () =>
      asked++ < 2 ? undefined : JSON.stringify({ v: 1, type: "QueryAnswer", output: 7 }),
    );
    const answered = run.query("total", undefined, { timeout: "200ms" }).catch((error) => error.code);
    // Whoever listens and says nothing keeps the question open until its time is over.
    expect(await answered).toBe("QUERY_UNANSWERED");
    asked = 2;
    expect(await run.query("total")).toBe(7);
  });

  it("fails with what the run says, and with an answer that does not fit", async () => {
    const log = server.connect("coordinator");
    const says: object[] = [{ error: boom }, { output: "seven" }];
    log.answer(log.subjects.all.queries(0), async () => JSON.stringify({ v: 1, type: "QueryAnswer", ...says.shift() }));
    await expect(run.query("total")).rejects.toMatchObject({ code: "QUERY_FAILED", cause: { message: "boom" } });
    await expect(run.query("total")).rejects.toMatchObject({ code: "INVALID_OUTPUT" });
  });
});

describe("a run", () => {
  it("is deleted when it is over, and not before; an unfinished delete confuses nobody", async () => {
    await expect(run.delete()).rejects.toThrow(RunStillGoingError);
    decide(1, [{ type: "StepScheduled", slot: 3, step: "a" }, { type: "RunCompleted" }]);
    await run.delete();
    expect([...server.stream("EVENTS").list(">").keys()]).toEqual([]);
    await expect(run.delete()).rejects.toThrow(RunNotFoundError);
  });

  it("in the place of another numbers its slots on", async () => {
    decide(1, [{ type: "StepScheduled", slot: 3, step: "a" }, { type: "RunCompleted" }]);
    await client.start(desk, undefined, { id: "r1", onConflict: "terminate", delay: "1m", timeout: "1h" });
    const [started] = server.stream("EVENTS").of(server.subjects.inbox("r1"));
    expect(JSON.parse(started!.text)).toMatchObject({ slots: 3, delayMs: 60_000, timeoutMs: 3_600_000 });
  });
});
