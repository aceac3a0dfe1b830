import {
  Decision,
  InvalidInputError,
  InvalidOutputError,
  LogUnavailableError,
  NotRunningError,
  QueryUnansweredError,
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
import { step } from "./step.ts";
import { workflow } from "./workflow.ts";

const order = workflow(
  "order",
  { input: z.object({ n: z.number() }), output: z.object({ at: z.coerce.date() }) },
  async () => ({ at: new Date(0) }),
);
const deal = workflow(
  "deal",
  {
    input: z.object({ cents: z.int() }),
    output: z.object({ cents: z.int() }),
    signals: { approve: z.object({ by: z.string() }) },
    queries: { offer: { input: z.int(), output: z.int() } },
    updates: { raise: { input: z.int(), output: z.int() } },
  },
  async (input) => input,
);
const charge = step("charge", {
  input: z.object({ cents: z.int() }),
  output: z.object({ at: z.coerce.date() }),
  retry: { maxAttempts: 3 },
  timeout: { attempt: "10s" },
  heartbeat: "2s",
});
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
  /** What happens just before the next append is stored. */
  meanwhile: (() => void) | undefined;
  reads = 0;
  following = 0;

  constructor(clock: Clock) {
    super(new MemoryServer({ clock }), "client");
  }
  override async append(subject: string, text: string, options?: AppendOptions) {
    this.meanwhile?.();
    this.meanwhile = undefined;
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
  /** The last of a run's inbox. */
  told(run: string) {
    return JSON.parse(this.server.read(this.subjects.inbox(run), 1, 0).at(-1)!.text);
  }
  /** The coordinator's part. */
  decide(run: string, ...events: unknown[]) {
    const decision = Decision.parse({ v: 1, type: "Decision", upTo: MUCH, by: "test", events });
    return this.server.append(this.subjects.journal(run), JSON.stringify(decision));
  }
}

/** Of all that is in the inbox. */
const MUCH = 1_000_000;
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

  it("hands the trace and the baggage on that the telemetry gives", async () => {
    const carried = { trace: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` }, baggage: "tenant=acme" };
    const telemetry: ClientTelemetry = { start: (_run, send) => send(carried) };
    const traced = await connect({ log, clock, telemetry });
    const run = await traced.start(order, { n: 1 });
    expect(JSON.parse(log.messages[0]!.text)).toMatchObject(carried);
    expect(await run.status()).toMatchObject({ traceId: "a".repeat(32) });
  });

  it("refuses what is no definition, id or option, before anything is sent", async () => {
    const js = (value: unknown) => value as never;
    const message = async (call: () => unknown) => {
      try {
        await call();
        return "none";
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
    };
    const notAWorkflow = (value: string) => `RangeError: Invalid workflow ${value}. Use what workflow(…) returned.`;
    expect(await message(() => client.start(js("order"), js(1)))).toBe(notAWorkflow('"order"'));
    expect(await message(() => client.start(js(undefined), js(1)))).toBe(notAWorkflow("undefined"));
    expect(await message(() => client.startMany(js("order"), []))).toBe(notAWorkflow('"order"'));
    expect(await message(() => client.signalWithStart(js({}), js(1), js({})))).toBe(notAWorkflow("(an object)"));
    expect(await message(() => client.handle(js(null), "r"))).toBe(notAWorkflow("null"));
    expect(await message(() => client.runStep(js(order), js(1)))).toBe(
      "RangeError: Invalid step (an object). Use what step(…) returned.",
    );
    expect(await message(() => client.start(order, { n: 1 }, { id: js(7) }))).toBe(
      "RangeError: Invalid id of a run 7. Use 1 to 64 of A-Z a-z 0-9 _ -.",
    );
    expect(await message(() => client.get(js(undefined)))).toBe(
      "RangeError: Invalid id of a run undefined. Use 1 to 64 of A-Z a-z 0-9 _ -.",
    );
    expect(await message(() => client.start(order, { n: 1 }, { onConflict: js("replace") }))).toBe(
      'RangeError: Invalid onConflict "replace". Use "reject" or "attach" or "terminate".',
    );
    expect(await message(() => client.start(order, { n: 1 }, { delay: Number.MAX_SAFE_INTEGER }))).toContain(
      'Invalid delay of a run 9007199254740991. Use at most "36525d"',
    );
    expect(await message(() => client.start(order, { n: 1 }, { timeout: 0 }))).toBe(
      "RangeError: Invalid timeout of a run 0. Use at least 1 ms.",
    );
    expect(await message(() => client.startMany(order, [], { concurrency: 0 }))).toBe(
      "RangeError: Invalid concurrency 0. Use a whole number from 1.",
    );
    expect(await message(() => client.schedules.create("s", js({ every: "1d", workflow: "order" })))).toBe(
      'RangeError: Invalid workflow of schedule "s" "order". Use what workflow(…) returned.',
    );
    expect(log.messages).toEqual([]);
  });

  const js = (value: unknown) => value as never;
  const one = () => client.get("r");
  const nightly = () => client.schedules.get("s");
  it.each<[what: string, meant: string, call: () => Promise<unknown>]>([
    ["start", "onConflict", () => client.start(order, { n: 1 }, js({ onConflit: "attach" }))],
    ["startMany", "concurrency", () => client.startMany(order, [], js({ concurency: 1 }))],
    ["signalWithStart", "timeout", () => client.signalWithStart(deal, { cents: 1 }, js({ id: "r", timeOut: 1 }))],
    [
      "the signal of signalWithStart",
      "payload",
      () => client.signalWithStart(deal, { cents: 1 }, js({ id: "r", signal: { name: "approve", payloud: 1 } })),
    ],
    ["runStep", "retry", () => client.runStep(charge, { cents: 1 }, js({ retri: 1 }))],
    [
      'retry of step "charge"',
      "maxAttempts",
      () => client.runStep(charge, { cents: 1 }, js({ retry: { maxAttempt: 1 } })),
    ],
    ["list", "workflow", () => client.list(js({ workflows: "x" }))],
    ["connect", "namespace", () => connect(js({ nameSpace: "x" }))],
    ["result", "timeout", () => one().result(js({ timeOut: 1 }))],
    ["status", "timeout", () => one().status(js({ timeOut: 1 }))],
    [
      "progress",
      "timeout",
      () =>
        one()
          .progress(js({ timeOut: 1 }))
          .next(),
    ],
    ["history", "timeout", () => one().history(js({ timeOut: 1 }))],
    ["cancel", "reason", () => one().cancel(js({ reasn: "x" }))],
    ["terminate", "reason", () => one().terminate(js({ reasn: "x" }))],
    ['signal "go"', "signal", () => one().signal("go", 1, js({ signl: 1 }))],
    ['update "go"', "timeout", () => one().update("go", 1, js({ timeOut: 1 }))],
    ['query "go"', "timeout", () => one().query("go", js(1), js({ timeOut: 1 }))],
    ["delete", "timeout", () => one().delete(js({ timeOut: 1 }))],
    ["list", "limit", () => client.schedules.list(js({ limits: 1 }))],
    ["pause", "timeout", () => nightly().pause("x", js({ timeOut: 1 }))],
    ["resume", "timeout", () => nightly().resume("x", js({ timeOut: 1 }))],
    ["trigger", "overlap", () => nightly().trigger(js({ overlaps: "skip" }))],
    ["backfill", "from", () => nightly().backfill(js({ frm: 1 }))],
    ["describe", "timeout", () => nightly().describe(js({ timeOut: 1 }))],
    ["delete", "history", () => nightly().delete(js({ histroy: true }))],
  ])("refuses an option that %s does not have, and names %s", async (what, meant, call) => {
    const error = await call().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message).toMatch(/^Invalid option ".*" of .*\. Use ".*"\. Did you mean ".*"\?$/);
    expect((error as Error).message).toContain(` of ${what}. Use "`);
    expect((error as Error).message).toContain(`Did you mean "${meant}"?`);
    expect(log.messages).toEqual([]);
  });

  it.each(["timeOut", "every_", "workflw"])("refuses an option that a schedule does not have: %s", async (key) => {
    const options = js({ every: "1d", workflow: order, input: { n: 1 }, [key]: 1 });
    await expect(client.schedules.create("s", options)).rejects.toThrow(
      `Invalid option "${key}" of schedule "s". Use "cron", "every", `,
    );
    expect(log.messages).toEqual([]);
  });

  it("refuses a namespace that cannot be one before it connects", async () => {
    const nats = "nats://localhost:1";
    await expect(connect({ nats, namespace: "a.b" })).rejects.toThrow(
      'Invalid namespace "a.b". Use 1 to 32 of A-Z a-z',
    );
    await expect(connect({ nats, partitions: 0 })).rejects.toThrow(
      "Invalid partitions 0. Use a whole number from 1 to 4096.",
    );
  });

  it("refuses an option that an item of many does not have, as what became of that one", async () => {
    const [bad, good] = await client.startMany(order, [
      js({ input: { n: 1 }, timeOut: 1 }),
      { input: { n: 2 }, id: "g" },
    ]);
    expect(bad).toMatchObject({
      status: "failed",
      error: { message: expect.stringContaining('Did you mean "timeout"?') },
    });
    expect(good).toEqual({ id: "g", status: "started" });
  });

  it("sends nothing that does not fit, and says where it does not", async () => {
    const failure = await client.start(order, { n: "x" } as never).catch((e) => e);
    expect(failure).toBeInstanceOf(InvalidInputError);
    expect(failure.path).toBe("n");
    await expect(client.start(other, () => 1)).rejects.toThrow(InvalidInputError);
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

describe("telling a run something", () => {
  const going = () => client.start(deal, { cents: 1 }, { id: "r1" });
  const accepted = (id: string) => ({ type: "SignalAccepted", id, name: "approve" });

  it.each([
    ["live", false],
    ["lost, and found by looking again", true],
  ])("a signal: sent raw, resolved when the run has taken note (%s)", async (_how, deaf) => {
    const sent = (await going()).signal("approve", { by: "eva" });
    let done = false;
    void sent.then(() => (done = true));
    await clock.go(10);
    const message = log.told("r1");
    expect(message).toMatchObject({ v: 1, type: "SignalReceived", name: "approve", payload: { by: "eva" } });
    log.decide("r1", accepted("of somebody else"), progress(1));
    await clock.go(3_000);
    expect(done).toBe(false);
    log.deaf = deaf;
    log.decide("r1", accepted(message.id));
    await clock.go(deaf ? 10_000 : 10);
    expect(done).toBe(true);
    expect([log.following, clock.pending]).toEqual([0, 0]);
  });

  it("once, where the bus does not answer: the same message again, with the same id", async () => {
    const run = await going();
    log.faults = ["lost", "unanswered", "lost"];
    const sent = run.signal("approve", { by: "eva" });
    await clock.go(10_000);
    expect(log.messages).toHaveLength(2);
    log.decide("r1", accepted(log.told("r1").id));
    await sent;
  });

  it.each([
    ["a signal", (run: ReturnType<Client["get"]>) => run.signal("approve", { by: "eva" })],
    ["an update", (run: ReturnType<Client["get"]>) => run.update("raise", 5)],
    ["a cancel", (run: ReturnType<Client["get"]>) => run.cancel()],
    ["a terminate", (run: ReturnType<Client["get"]>) => run.terminate()],
  ])("%s, and it ends between the look and the send: it is over, as it is from then on", async (_what, tell) => {
    const run = client.get((await going()).id);
    log.meanwhile = () => log.decide("r1", { type: "RunCompleted", output: { cents: 1 } });
    await expect(tell(run)).rejects.toThrow(RunClosedError);
    expect(log.messages).toHaveLength(3);
    await expect(tell(run)).rejects.toMatchObject({ code: "RUN_CLOSED", detail: { outcome: "completed" } });
    expect(log.messages).toHaveLength(3);
    expect([log.following, clock.pending]).toEqual([0, 0]);
  });

  // The log looks at ids without regard to the subject. Known, and not yet so: drop `fails` with the cause.
  it("under an id that another run was told something under just now", async () => {
    const runs = [await going(), await client.start(deal, { cents: 1 }, { id: "r2" })];
    const sent = runs.map((run) => run.signal("approve", { by: "eva" }, { id: "s-1" }));
    await clock.go(10);
    expect(runs.map(({ id }) => log.told(id).type)).toEqual(["SignalReceived", "SignalReceived"]);
    for (const { id } of runs) log.decide(id, accepted("s-1"));
    await Promise.all(sent);
  });

  it("that it answered before it ended, though only the end came through", async () => {
    const sent = (await going()).signal("approve", { by: "eva" });
    await clock.go(10);
    log.deaf = true;
    log.decide("r1", accepted(log.told("r1").id));
    log.deaf = false;
    log.decide("r1", cancelledEvent);
    await sent;
  });

  it("until the caller gives up, or the client is closed; the message stands", async () => {
    const run = await going();
    const patience = new AbortController();
    const first = run.signal("approve", { by: "eva" }, { signal: patience.signal }).catch((e) => e);
    const second = run.update("raise", 5).catch((e) => e);
    await clock.go(20_000);
    patience.abort(new Error("enough"));
    expect(await first).toMatchObject({ message: "enough" });
    await client.close();
    expect(await second).toBeInstanceOf(NotRunningError);
    expect(log.messages).toHaveLength(3);
    expect([log.following, clock.pending]).toEqual([0, 0]);
  });
});

describe("asking a run", () => {
  /** The coordinator's part. */
  function answer(said: object | undefined): void {
    log.answer(log.subjects.query("r1"), async () => said && JSON.stringify({ v: 1, type: "QueryAnswer", ...said }));
  }
  const going = () => client.start(deal, { cents: 1 }, { id: "r1" });

  it("also after its end", async () => {
    const run = await going();
    answer({ output: 5 });
    log.decide("r1", completed);
    expect(await run.query("offer", 3)).toBe(5);
  });

  it("waits for a coordinator that comes in time", async () => {
    const run = await going();
    const asked = run.query("offer", 3);
    await clock.go(1_000);
    answer({ output: 5 });
    await clock.go(1_000);
    expect(await asked).toBe(5);
  });

  it.each([
    ["nobody is there", () => {}],
    ["who is there does not know", () => answer(undefined)],
  ])("gives up after its time where %s, and tells whether there is such a run", async (_who, coordinator) => {
    coordinator();
    const run = await going();
    const outcomes = [
      run.query("offer", 3),
      run.query("offer", 3, { timeout: "1s" }),
      client.get("nope").query("x"),
    ].map((asked) => asked.catch((e) => e));
    await clock.go(1_100);
    const settled = await Promise.race([outcomes[1], outcomes[0]]);
    expect(settled).toBeInstanceOf(QueryUnansweredError);
    expect(settled).toMatchObject({ detail: { run: "r1", query: "offer", ms: 1_000 }, retry: "later" });
    await clock.go(4_100);
    expect(await outcomes[0]).toMatchObject({ code: "QUERY_UNANSWERED", detail: { ms: 5_000 } });
    expect(await outcomes[2]).toBeInstanceOf(RunNotFoundError);
    expect(clock.pending).toBe(0);
  });
});

describe("starting runs in other ways", () => {
  const started = (run: string) => JSON.parse(log.server.read(log.subjects.inbox(run), 1, 0)[0]!.text);

  it("later, with a time-out: both are in the message", async () => {
    await client.start(deal, { cents: 1 }, { id: "r1", delay: "1m", timeout: "2h" });
    expect(started("r1")).toMatchObject({ delayMs: 60_000, timeoutMs: 7_200_000 });
    await client.start(deal, { cents: 1 }, { id: "r2" });
    expect(Object.keys(started("r2")).toSorted()).toEqual(["id", "input", "type", "v", "version", "workflow"]);
  });

  it("many at a time: what became of each, in their order; one that fails keeps none of the others", async () => {
    await client.start(deal, { cents: 1 }, { id: "taken" });
    await client.start(other, 1, { id: "foreign" });
    const seen: string[] = [];
    async function* items() {
      yield { id: "a", input: { cents: 1 } };
      yield { id: "taken", input: { cents: 2 } };
      yield { id: "odd", input: { cents: 0.5 } };
      yield { id: "foreign", input: { cents: 3 } };
      yield { id: "z", input: { cents: 4 }, delay: "1s" as const };
    }
    const outcomes = await client.startMany(deal, items(), {
      onConflict: "attach",
      concurrency: 2,
      onOutcome: ({ id }) => seen.push(id),
    });
    expect(outcomes).toEqual([
      { id: "a", status: "started" },
      { id: "taken", status: "attached" },
      { id: "odd", status: "failed", error: expect.any(InvalidInputError) },
      { id: "foreign", status: "failed", error: expect.any(RunAlreadyExistsError) },
      { id: "z", status: "started" },
    ]);
    expect(seen.toSorted()).toEqual(["a", "foreign", "odd", "taken", "z"]);
    expect(started("z")).toMatchObject({ input: { cents: 4 }, delayMs: 1_000 });
    expect(started("taken")).toMatchObject({ input: { cents: 1 } });
  });

  it("many at a time, with so many on their way as was said, and no more", async () => {
    let onTheWay = 0;
    let most = 0;
    const append = log.append.bind(log);
    log.append = async (...args) => {
      most = Math.max(most, ++onTheWay);
      await new Promise(setImmediate);
      return append(...args).finally(() => onTheWay--);
    };
    const items = Array.from({ length: 50 }, (_, i) => ({ id: `r${i}`, input: { cents: i } }));
    const outcomes = await client.startMany(deal, items, { concurrency: 7 });
    expect(outcomes.map(({ id }) => id)).toEqual(items.map(({ id }) => id));
    expect(most).toBe(7);
  });

  it("with a signal: it is there from the start", async () => {
    const signal = { name: "approve", payload: { by: "eva" }, id: "s-1" } as const;
    const run = await client.signalWithStart(deal, { cents: 1 }, { id: "r1", signal });
    expect(run.id).toBe("r1");
    expect(log.messages).toHaveLength(1);
    expect(started("r1").signals).toEqual([{ name: "approve", payload: { by: "eva" }, id: "s-1" }]);
  });

  it("with a signal, where there is such a run: that one is told, and has taken note", async () => {
    await client.start(deal, { cents: 1 }, { id: "r1" });
    const signal = { name: "approve", payload: { by: "eva" } } as const;
    const sent = client.signalWithStart(deal, { cents: 2 }, { id: "r1", signal });
    await clock.go(10);
    const { id, ...message } = log.told("r1");
    expect(message).toEqual({ v: 1, type: "SignalReceived", ...signal, after: 1 });
    log.decide("r1", { type: "SignalAccepted", id, name: "approve" });
    expect((await sent).id).toBe("r1");
    log.decide("r1", { type: "RunCompleted", output: { cents: 1 } });
    const late = client.signalWithStart(deal, { cents: 2 }, { id: "r1", signal });
    await expect(late).rejects.toThrow(RunClosedError);
  });

  it("with a signal that does not fit: nothing is sent", async () => {
    const start = (signal: unknown) => client.signalWithStart(deal, { cents: 1 }, { id: "r1", signal } as never);
    await expect(start({ name: "approve", payload: { by: 7 } })).rejects.toMatchObject({ path: "by" });
    await expect(start({ name: "aprove" })).rejects.toThrow(/"deal" declares no signal "aprove"/);
    expect(log.messages).toEqual([]);
  });

  it("in the place of one that goes on: that one is terminated and deleted, and its slots are counted on", async () => {
    await client.start(deal, { cents: 1 }, { id: "r1" });
    log.decide("r1", { type: "StepScheduled", slot: 7, step: "charge" });
    const attempt = { v: 1, type: "AttemptHeartbeat", slot: 7, step: "charge", attempt: 1 };
    log.server.append(log.subjects.attempts("r1", 7), JSON.stringify(attempt));
    const again = client.start(deal, { cents: 2 }, { id: "r1", onConflict: "terminate" });
    await clock.go(10);
    expect(log.told("r1")).toMatchObject({ type: "TerminateRequested" });
    log.decide("r1", { type: "RunTerminated", reason: "another" });
    await again;
    expect(log.messages).toHaveLength(1);
    expect(started("r1")).toMatchObject({ input: { cents: 2 }, slots: 7 });
  });

  it("of one step: with what the step says of itself, or what is said instead", async () => {
    const run = await client.runStep(charge, { cents: 5 }, { id: "r1", retry: { maxAttempts: 1 }, delay: "1s" });
    expect(started("r1")).toMatchObject({
      workflow: "_step",
      delayMs: 1_000,
      input: {
        step: "charge",
        input: { cents: 5 },
        retry: { maxAttempts: 1, initialMs: charge.retry.initialMs },
        timeout: { attemptMs: 10_000, totalMs: 86_400_000 },
        heartbeatMs: 2_000,
      },
    });
    log.decide("r1", completed);
    expect(await run.result()).toEqual({ at: new Date("2026-01-01T00:00:00Z") });
    await expect(client.runStep(charge, { cents: 0.5 })).rejects.toMatchObject({ path: "cents" });
    expect(log.messages).toHaveLength(2);
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
    log.server.append(log.subjects.inboxFrom("client", "r1"), "{oops");
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
