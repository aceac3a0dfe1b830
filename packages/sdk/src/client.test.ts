import {
  Decision,
  InvalidInputError,
  InvalidOutputError,
  LogUnavailableError,
  NotRunningError,
  RunAlreadyExistsError,
  RunClosedError,
  type RunEvent,
  RunNotFoundError,
  StepError,
  toFailure,
  WorkflowCancelledError,
} from "@stepstream/contracts";
import type { AppendOptions, Clock, ReadOptions, Stored } from "@stepstream/event-log";
import { MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { type Client, type ClientTelemetry, connect } from "./client.ts";
import { workflow } from "./workflow.ts";

const order = workflow(
  "order",
  { input: z.object({ n: z.number() }), output: z.object({ at: z.coerce.date() }) },
  async () => ({ at: new Date(0) }),
);
const other = workflow("other", { input: z.any(), output: z.any() }, async () => 0);

/** A clock that stands still until it is told to go. */
class TestClock implements Clock {
  #now = 1_000;
  #timers = new Map<number, { at: number; fn: () => void }>();
  #next = 1;
  now = () => this.#now;
  random = () => Math.random();
  setTimeout = (fn: () => void, ms: number) => {
    this.#timers.set(this.#next, { at: this.#now + ms, fn });
    return this.#next++;
  };
  clearTimeout = (handle: unknown) => void this.#timers.delete(handle as number);
  get pending() {
    return this.#timers.size;
  }
  async go(ms: number) {
    const until = this.#now + ms;
    while (true) {
      await new Promise(setImmediate);
      let next: [number, { at: number; fn: () => void }] | undefined;
      for (const timer of this.#timers)
        if (timer[1].at <= until && timer[1].at < (next?.[1].at ?? Infinity)) next = timer;
      if (!next) break;
      this.#timers.delete(next[0]);
      this.#now = next[1].at;
      next[1].fn();
    }
    this.#now = until;
  }
}

/** A log in memory, with faults to order and a look at what a client costs. */
class TestLog extends MemoryLog {
  /** What becomes of the next appends: stored or not, and no answer. */
  faults: ("lost" | "unanswered")[] = [];
  /** Live messages do not get through. */
  deaf = false;
  reads = 0;
  following = 0;

  constructor(clock: Clock) {
    super(new MemoryServer({ clock }), "client");
  }
  override async append(subject: string, text: string, options?: AppendOptions) {
    const fault = this.faults.shift();
    const stored = fault === "lost" ? undefined : await super.append(subject, text, options);
    if (fault || !stored) throw new LogUnavailableError(`append ${subject}`, "no answer");
    return stored;
  }
  override read(subject: string, options?: ReadOptions) {
    this.reads++;
    return super.read(subject, options);
  }
  override last(subject: string, options?: ReadOptions) {
    this.reads++;
    return super.last(subject, options);
  }
  override followJournal(run: string, fn: (stored: Stored) => void) {
    this.following++;
    const live = super.followJournal(run, (stored) => this.deaf || fn(stored));
    return {
      stop: () => {
        this.following--;
        live.stop();
      },
    };
  }
  get messages(): Stored[] {
    const { server } = this;
    return [...server.stream("EVENTS").list(">").keys()]
      .flatMap((subject) => server.read(subject, 1, 0))
      .sort((a, b) => a.seq - b.seq);
  }
  /** The coordinator's part. */
  decide(run: string, ...events: unknown[]) {
    const decision = Decision.parse({ v: 1, type: "Decision", upTo: 1, by: "test", events });
    return this.server.append(this.subjects.journal(run), JSON.stringify(decision));
  }
}

const progress = (step: number) => ({ type: "ProgressReported", step, total: 4, name: `s${step}`, percent: step * 25 });
const completed: RunEvent = { type: "RunCompleted", output: { at: "2026-01-01T00:00:00Z" } };
const cancelledEvent: RunEvent = { type: "RunCancelled", reason: "no need" };

let log: TestLog;
let clock: TestClock;
let client: Client;
beforeEach(async () => {
  clock = new TestClock();
  log = new TestLog(clock);
  client = await connect({ log, clock });
});

describe("starting a run", () => {
  it("stores one message, with the raw input", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    expect(run.id).toBe("r1");
    expect(log.messages).toHaveLength(1);
    expect(JSON.parse(log.messages[0]!.text)).toMatchObject({ type: "RunStarted", workflow: "order", input: { n: 1 } });
  });

  it("hands the trace on that the telemetry gives", async () => {
    const trace = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` };
    const telemetry: ClientTelemetry = { start: (_run, send) => send(trace) };
    const traced = await connect({ log, clock, telemetry });
    const run = await traced.start(order, { n: 1 });
    expect(JSON.parse(log.messages[0]!.text).trace).toEqual(trace);
    expect(await run.status()).toMatchObject({ traceId: "a".repeat(32) });
  });

  it("sends nothing that does not fit, and says where it does not", async () => {
    const failure = await client.start(order, { n: "x" } as never).catch((e) => e);
    expect(failure).toBeInstanceOf(InvalidInputError);
    expect(failure.path).toBe("n");
    await expect(client.start(other, 1n)).rejects.toThrow(InvalidInputError);
    await expect(client.start(order, { n: 1 }, { id: "no.dots" })).rejects.toThrow(RangeError);
    expect(log.messages).toEqual([]);
  });

  it.each([
    ["was not stored", "lost"],
    ["was stored", "unanswered"],
  ] as const)("happens once where there is no answer and it %s", async (_what, fault) => {
    log.faults = [fault, "lost"];
    const run = client.start(order, { n: 1 }, { id: "r1" });
    await clock.go(10_000);
    expect((await run).id).toBe("r1");
    expect(log.messages).toHaveLength(1);
  });

  it("gives up after a while without an answer, and says that doing it again is safe", async () => {
    log.faults = Array(1_000).fill("lost");
    const run = client.start(order, { n: 1 }, { id: "r1" }).catch((e) => e);
    await clock.go(40_000);
    expect(await run).toMatchObject({ code: "LOG_UNAVAILABLE", message: expect.stringMatching(/start run r1.*safe/) });
  });

  it("is refused for an id that is taken, or attaches to that run if it is of the same workflow", async () => {
    await client.start(order, { n: 1 }, { id: "r1" });
    await expect(client.start(order, { n: 1 }, { id: "r1" })).rejects.toThrow(RunAlreadyExistsError);
    await expect(client.start(other, 1, { id: "r1", onConflict: "attach" })).rejects.toThrow(RunAlreadyExistsError);
    expect((await client.start(order, { n: 2 }, { id: "r1", onConflict: "attach" })).id).toBe("r1");
    expect(log.messages).toHaveLength(1);
  });
});

describe("a run's result", () => {
  it("is what the run ended with, parsed", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    const result = run.result();
    log.decide("r1", progress(1));
    log.decide("r1", completed);
    expect(await result).toEqual({ at: new Date("2026-01-01T00:00:00Z") });
    expect(await client.get("r1").result()).toEqual({ at: "2026-01-01T00:00:00Z" });
    expect([log.following, clock.pending]).toEqual([0, 0]);
  });

  it("is found by looking again where the live message was lost", async () => {
    const run = await client.start(order, { n: 1 });
    const result = run.result();
    await clock.go(500);
    log.deaf = true;
    log.decide(run.id, completed);
    await clock.go(2_500);
    expect(await result).toBeDefined();
  });

  it("is what the run failed with, of its own class and with its cause", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    const cause = new TypeError("no");
    const error = toFailure(new StepError({ run: "r1", step: "a", slot: 1, attempt: 2 }, { x: 1 }, cause));
    log.decide("r1", { type: "RunFailed", error });
    const failure = await run.result().catch((e) => e);
    expect(failure).toBeInstanceOf(StepError);
    expect(failure).toMatchObject({ step: "a", attempt: 2, input: { x: 1 }, cause: { name: "TypeError" } });
  });

  it("is a WorkflowCancelledError, a RunNotFoundError, an InvalidOutputError where that is so", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    log.decide("r1", cancelledEvent);
    await expect(run.result()).rejects.toThrow(WorkflowCancelledError);
    await expect(client.get("nope").result()).rejects.toThrow(RunNotFoundError);
    const odd = await client.start(order, { n: 1 }, { id: "r2" });
    log.decide("r2", { type: "RunCompleted", output: { at: "never" } });
    await expect(odd.result()).rejects.toThrow(InvalidOutputError);
  });

  it("is waited for until the caller gives up or the client is closed", async () => {
    const run = await client.start(order, { n: 1 });
    const patience = new AbortController();
    const first = run.result({ signal: patience.signal }).catch((e) => e);
    const second = run.result().catch((e) => e);
    await clock.go(60_000);
    patience.abort(new Error("enough"));
    expect(await first).toMatchObject({ message: "enough" });
    await client.close();
    expect(await second).toBeInstanceOf(NotRunningError);
    expect([log.following, clock.pending]).toEqual([0, 0]);
  });

  it("can be awaited for 2,000 runs at once, at less than 500 reads a second", async () => {
    const warned = vi.fn();
    process.on("warning", warned);
    const runs = await Promise.all(Array.from({ length: 2_000 }, (_, i) => client.start(other, i, { id: `r${i}` })));
    const results = Promise.all(runs.map((run) => run.result()));
    await clock.go(20_000);
    const before = log.reads;
    await clock.go(10_000);
    expect(log.reads - before).toBeLessThan(5_000);
    for (const run of runs) log.decide(run.id, { type: "RunCompleted", output: run.id });
    expect(await results).toEqual(runs.map((run) => run.id));
    expect([log.following, clock.pending]).toEqual([0, 0]);
    expect(warned).not.toHaveBeenCalled();
    process.off("warning", warned);
  });
});

describe("a run's progress", () => {
  const collect = async (run: ReturnType<Client["get"]>) => {
    const steps: number[] = [];
    for await (const p of run.progress()) steps.push(p.step);
    return steps;
  };

  it("is the last known, then live, and ends with the run", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    log.decide("r1", progress(1));
    log.decide("r1", progress(2), { type: "TimerStarted", slot: 1, fireAt: 0 });
    log.decide("r1", { type: "TimerStarted", slot: 2, fireAt: 0 });
    const steps = collect(run);
    await clock.go(10);
    log.decide("r1", progress(3));
    log.decide("r1", progress(4), completed);
    expect(await steps).toEqual([2, 3, 4]);
    expect(await collect(run)).toEqual([4]);
    expect([log.following, clock.pending]).toEqual([0, 0]);
  });

  it("catches up where live messages were lost", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    const steps = collect(run);
    await clock.go(10);
    log.deaf = true;
    log.decide("r1", progress(1));
    log.decide("r1", progress(2));
    log.decide("r1", cancelledEvent);
    await clock.go(3_000);
    expect(await steps).toEqual([2]);
  });

  it("leaves nothing behind where the caller stops early", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    log.decide("r1", progress(1));
    for await (const _ of run.progress()) break;
    await clock.go(10);
    expect([log.following, clock.pending]).toEqual([0, 0]);
    await expect(collect(client.get("nope"))).rejects.toThrow(RunNotFoundError);
  });
});

describe("cancelling a run", () => {
  const requestId = () => JSON.parse(log.messages.findLast((m) => m.text.includes("CancelRequested"))!.text).id;

  it.each([["live"], ["lost"]])("resolves when the run has taken note (%s)", async (how) => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    const cancelled = run.cancel({ reason: "changed my mind", grace: "2s" });
    await clock.go(10);
    expect(JSON.parse(log.messages[1]!.text)).toMatchObject({ reason: "changed my mind", graceMs: 2_000 });
    log.deaf = how === "lost";
    log.decide("r1", { type: "CancelAccepted", id: requestId(), reason: "changed my mind" });
    log.deaf = false;
    log.decide("r1", cancelledEvent);
    await cancelled;
  });

  it("says so where the run was over, or ended without taking note", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    const late = run.cancel({ reason: "late" }).catch((e) => e);
    await clock.go(10);
    log.decide("r1", completed);
    expect(await late).toBeInstanceOf(RunClosedError);
    const stored = log.messages.length;
    await expect(run.cancel()).rejects.toThrow(RunClosedError);
    expect(log.messages).toHaveLength(stored);
  });

  it("writes nothing where there is no run: that would be the first message of its inbox", async () => {
    await expect(client.get("nope").cancel()).rejects.toThrow(RunNotFoundError);
    expect(log.messages).toEqual([]);
  });
});

describe("looking at runs", () => {
  it("says how a run is", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    expect(await run.status()).toEqual({
      id: "r1",
      status: "running",
      workflow: "order",
      version: 1,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      startedAt: 1_000,
      history: { inbox: 1, journal: 0 },
    });
    const error = toFailure(new Error("who?"));
    const parked = {
      v: 1,
      type: "RunParked",
      run: "r1",
      workflow: "order",
      version: 1,
      code: "UNKNOWN_WORKFLOW",
      error,
    };
    log.server.append(log.subjects.parked("r1"), JSON.stringify(parked));
    expect(await run.status()).toMatchObject({ status: "parked", parked: { code: "UNKNOWN_WORKFLOW", since: 1_000 } });
    log.decide("r1", progress(1));
    expect(await run.status()).toMatchObject({ status: "running" });
    log.decide("r1", { type: "RunFailed", error });
    expect(await run.status()).toMatchObject({ status: "failed", endedAt: 1_000, error: { message: "who?" } });
    await expect(client.get("nope").status()).rejects.toThrow(RunNotFoundError);
  });

  it("lists them, newest first, by workflow and status", async () => {
    for (const id of ["a", "b", "c"]) {
      await client.start(order, { n: 1 }, { id });
      await clock.go(1_000);
    }
    await client.start(other, 1, { id: "d" });
    log.decide("b", completed);
    const ids = async (options: Parameters<Client["list"]>[0]) => (await client.list(options)).map((r) => r.id);
    expect(await ids({})).toEqual(["d", "c", "b", "a"]);
    expect(await ids({ workflow: order, status: "running" })).toEqual(["c", "a"]);
    expect(await ids({ workflow: "other" })).toEqual(["d"]);
    expect(await ids({ limit: 2 })).toHaveLength(2);
  });

  it("tells all that is stored of a run, in order, what cannot be read included", async () => {
    const run = await client.start(order, { n: 1 }, { id: "r1" });
    log.decide("r1", progress(1));
    const error = toFailure(new Error("x"));
    const failed = { v: 1, type: "AttemptFailed", slot: 1, step: "a", attempt: 1, error };
    log.server.append(log.subjects.attempts("r1", 1), JSON.stringify(failed));
    log.server.append(log.subjects.inbox("r1"), "{oops");
    log.decide("r1", completed);
    const history = await run.history();
    expect(history.map((h) => [h.seq, h.kind])).toEqual([
      [1, "inbox"],
      [2, "journal"],
      [3, "attempt"],
      [4, "malformed"],
      [5, "journal"],
    ]);
    expect(history[3]).toMatchObject({ text: "{oops", error: { code: "MALFORMED_MESSAGE" } });
    await expect(client.get("nope").history()).rejects.toThrow(RunNotFoundError);
  });
});
