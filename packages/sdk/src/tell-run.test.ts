import {
  Decision,
  type InboxMessage,
  InvalidInputError,
  LogUnavailableError,
  MalformedMessageError,
  RunClosedError,
  type RunEvent,
  RunNotFoundError,
  RunStillGoingError,
  SignalRefusedError,
  toFailure,
  UpdateRefusedError,
  WorkflowTerminatedError,
} from "@stepstream/contracts";
import { bury } from "@stepstream/event-log";
import { MemoryServer } from "@stepstream/event-log/memory";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Client, connect } from "./client.ts";
import type { HandleOf, RunHandle } from "./run-handle.ts";
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

describe("a call that gets no answer", () => {
  it("ends with its time-out, and says that the message is stored and that no coordinator is there", async () => {
    for (const call of [
      () => run.signal("go", 1, { timeout: 20 }),
      () => run.update("add", 1, { timeout: 20 }),
      () => run.cancel({ timeout: 20 }),
      () => run.terminate({ timeout: 20 }),
    ])
      await expect(call()).rejects.toThrow(
        /^No answer to .* of run r1 within 20 ms\. The message is stored .* No coordinator answers in namespace "test"/,
      );
    expect(server.stream("EVENTS").of(server.subjects.inbox("r1"))).toHaveLength(5);
  });

  it("says that a coordinator is there, or that the run is parked, and why", async () => {
    const other = server.connect("coordinator");
    const presence = JSON.stringify({ v: 1, type: "Presence", id: "c-1", leaving: false });
    other.listen(other.subjects.rollCall, () => other.broadcast(other.subjects.presence, presence));
    await expect(run.signal("go", 1, { timeout: 20 })).rejects.toThrow("A coordinator is running; it may be busy.");
    const why = { v: 1, type: "RunParked", run: "r1", workflow: "desk", version: 1, code: "STALLED", error: boom };
    await other.append(other.subjects.parked("r1"), JSON.stringify(why));
    await expect(run.signal("go", 1, { timeout: 20 })).rejects.toThrow("The run is parked: boom");
  });

  it("waits for the end, and for progress, only so long if told to; the run goes on", async () => {
    await expect(run.result({ timeout: 20 })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    await expect(run.progress({ timeout: 20 }).next()).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    expect((await run.status()).status).toBe("running");
  });

  it("learns that its message is among the dead letters", { timeout: 15_000 }, async () => {
    const sending = run.signal("go", 1).catch((error) => error);
    const log = server.connect("coordinator");
    await expect.poll(() => log.read(log.subjects.inbox("r1"))).toHaveLength(2);
    const [, stored] = await log.read(log.subjects.inbox("r1"));
    await bury(log, stored!, new MalformedMessageError("it", "name", "not good"));
    expect(await sending).toMatchObject({ code: "MALFORMED_MESSAGE", path: "name" });
  });
});

describe("a name, an id, a reason, a time-out", () => {
  it.each([
    ['a"b', "quotes"],
    ["a\\b", "a backslash"],
    ["ä/漢 .*>", "anything"],
    ["\ud800", "half a character"],
    ["\n", "a line break"],
  ])("%j is good for an id (%s)", async (id) => {
    answer(
      ({ id }) => [{ type: "UpdateCompleted", id, output: "2026-11-22T00:00:00Z" }],
      ({ id }) => [{ type: "SignalAccepted", id, name: "go" }],
    );
    await run.update("add", 1, { id });
    await run.signal("go", 1, { id });
  });

  const odd = ["a.b", "", "a b", "*", ">", "x".repeat(65), 7, null, undefined, {}, "\ud800"];
  it.each(odd.map((name) => [name]))("%j is refused as a name before anything is sent", async (name) => {
    const any = client.get("r1");
    for (const call of [
      () => any.signal(name as never, 1),
      () => any.update(name as never, 1),
      () => any.query(name as never, 1),
      () => client.start({ ...desk, name } as typeof desk, undefined),
      ...(name === undefined ? [] : [() => client.list({ workflow: name as never })]),
      async () => client.get(name as never),
      async () => client.handle(desk, name as never),
    ])
      await expect(call()).rejects.toThrow(/^(Invalid|A run|client)/);
    expect(server.stream("EVENTS").size).toBe(1);
  });

  it.each(["", 7, null, "x".repeat(257), {}])("%j is refused as an id", async (id) => {
    await expect(run.signal("go", 1, { id: id as never })).rejects.toThrow("Invalid id of a signal");
    await expect(run.update("add", 1, { id: id as never })).rejects.toThrow("Invalid id of an update");
  });

  it.each([7, null, "x".repeat(4_001), {}])("%j is refused as a reason", async (reason) => {
    await expect(run.cancel({ reason: reason as never })).rejects.toThrow("Invalid reason");
    await expect(run.terminate({ reason: reason as never })).rejects.toThrow("Invalid reason");
  });

  it.each([0, -1, Number.NaN, "soon", null, Number.MAX_SAFE_INTEGER])(
    "%j is refused as a time-out",
    async (timeout) => {
      const options = { timeout: timeout as never };
      for (const call of [
        () => run.signal("go", 1, options),
        () => run.cancel(options),
        () => run.status(options),
        () => run.history(options),
        () => run.delete(options),
        () => run.result(options),
        () => run.query("total", undefined, options),
        () => client.list(options),
      ])
        await expect(call()).rejects.toThrow(/^Invalid (timeout|duration)/);
    },
  );
});

describe("a call from JavaScript", () => {
  it.each([null, 5, "x", []])("refuses %j as options", async (options: any) => {
    const refused = { name: "RangeError", message: expect.stringMatching(/^Invalid options of /) };
    await expect(run.status(options)).rejects.toMatchObject(refused);
    await expect(run.result(options)).rejects.toMatchObject(refused);
    await expect(run.history(options)).rejects.toMatchObject(refused);
    await expect(run.cancel(options)).rejects.toMatchObject(refused);
    await expect(run.terminate(options)).rejects.toMatchObject(refused);
    await expect(run.delete(options)).rejects.toMatchObject(refused);
    await expect(run.signal("go", 1, options)).rejects.toMatchObject(refused);
    await expect(run.update("add", 1, options)).rejects.toMatchObject(refused);
    await expect(run.query("total", undefined, options)).rejects.toMatchObject(refused);
    await expect(client.start(desk, undefined, options)).rejects.toMatchObject(refused);
    await expect(client.list(options)).rejects.toMatchObject(refused);
  });

  it("refuses a status and a limit that do not exist, instead of listing no runs", async () => {
    await expect(client.list({ status: "ended" as never })).rejects.toThrow('Invalid status "ended". Use "running"');
    for (const limit of [-1, 0, Number.NaN, "5" as never])
      await expect(client.list({ limit })).rejects.toThrow("Invalid limit");
  });

  it("does not take a method of every object for a declared signal", async () => {
    for (const name of ["constructor", "toString"])
      await expect((run as any).signal(name, 1, { timeout: 50 })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    await expect((run as any).signal("__proto__", 1)).rejects.toThrow(
      'Invalid name of a signal "__proto__". Use another',
    );
  });
});

describe("a message to a run", () => {
  it("under an id that was used for another name is not reported as received", async () => {
    answer(() => [{ type: "SignalAccepted", id: "x", name: "other" }]);
    await expect(run.signal("go", 1, { id: "x" })).rejects.toThrow(/The id "x" was used before, for "other"/);
  });

  it("is stored under its own id, and answered by the journal", async () => {
    const heard = answer(({ id }) => [{ type: "SignalAccepted", id, name: "go" }]);
    await run.signal("go", 1, { id: "once" });
    expect(heard).toEqual([{ v: 1, type: "SignalReceived", id: "once", name: "go", payload: 1, after: 1 }]);
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

  it.each<[string, (run: RunHandle) => Promise<unknown>]>([
    ["cancel", (run) => run.cancel()],
    ["terminate", (run) => run.terminate()],
    ["signal", (run) => run.signal("go", 1)],
    ["update", (run) => run.update("add", 1)],
  ])(
    "says which run it is for, and learns that it is gone where another was started under its id: %s",
    async (what, call) => {
      const inbox = server.subjects.inbox("r1");
      for (const ends of [false, true]) {
        const { seq } = server.stream("EVENTS").of(inbox).at(-1)!;
        const log = server.connect(`late-${what}-${ends}`);
        const append = log.append.bind(log);
        log.append = async (subject, text, options) => {
          await log.remove(inbox);
          await client.start(desk, undefined, { id: "r1" });
          const appended = await append(subject, text, options);
          // Another's end is not an answer.
          if (ends) decide(appended.seq, [{ type: "RunCompleted" }]);
          return appended;
        };
        const late = await connect({ log });
        await expect(call(late.get("r1"))).rejects.toThrow(RunNotFoundError);
        const sent = server.stream("EVENTS").of(inbox).at(-1)!;
        expect(JSON.parse(sent.text).after).toBe(seq);
      }
    },
  );
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

  it("is not there where a slow worker has sent something to it after it was deleted", async () => {
    decide(1, [{ type: "StepScheduled", slot: 3, step: "a" }, { type: "RunCompleted" }]);
    await run.delete();
    const late = { v: 1, type: "StepCancelled", slot: 3, step: "a", attempt: 1 };
    server.append(server.subjects.inboxFrom("worker", "r1"), JSON.stringify(late));
    for (const act of [() => run.delete(), () => run.retry()]) await expect(act()).rejects.toThrow(RunNotFoundError);
    expect(server.stream("EVENTS").of(server.subjects.inbox("r1"))).toHaveLength(1);
  });

  it("is deleted without reaching the run that was started meanwhile, where an answer was lost", async () => {
    decide(1, [{ type: "RunCompleted" }]);
    const log = server.connect("deleter");
    const inbox = log.subjects.inbox("r1");
    const remove = log.remove.bind(log);
    let lost = false;
    log.remove = async (subject, options) => {
      const removed = await remove(subject, options);
      if (lost || subject !== inbox) return removed;
      lost = true;
      await client.start(desk, undefined, { id: "r1" });
      throw new LogUnavailableError("remove an inbox", "the answer was lost");
    };
    await (await connect({ log })).get("r1").delete();
    expect(lost).toBe(true);
    expect(server.stream("EVENTS").of(inbox)).toHaveLength(1);
    expect((await run.status()).status).toBe("running");
  });

  it("has no end of the run that had its id before, where a deletion was cut short", async () => {
    decide(1, [{ type: "RunCompleted" }]);
    await server.connect("deleter").remove(server.subjects.inbox("r1"));
    const next = await client.start(desk, undefined, { id: "r1" });
    expect((await next.status()).status).toBe("running");
    await expect(next.result({ timeout: 20 })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    await expect(client.get("r1").result({ timeout: 20 })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    for (const one of [next, client.get("r1")])
      await expect(one.progress({ timeout: 20 }).next()).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    await expect(next.delete()).rejects.toThrow(RunStillGoingError);
    await expect(next.signal("go", 1, { timeout: 20 })).rejects.toThrow("The message is stored");
  });

  it("in the place of another numbers its slots on", async () => {
    decide(1, [{ type: "StepScheduled", slot: 3, step: "a" }, { type: "RunCompleted" }]);
    await client.start(desk, undefined, { id: "r1", onConflict: "terminate", delay: "1m", timeout: "1h" });
    const [started] = server.stream("EVENTS").of(server.subjects.inbox("r1"));
    expect(JSON.parse(started!.text)).toMatchObject({ slots: 3, delayMs: 60_000, timeoutMs: 3_600_000 });
  });
});
