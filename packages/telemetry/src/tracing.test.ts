import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { type InboxMessage, type RunEvent, RunStarted, RunStep, StalledError, type Trace } from "@stepstream/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { idGenerator } from "./id-generator.ts";
import { idsOfRun } from "./ids.ts";
import { createTracing } from "./tracing.ts";

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());

const RATIO = (ratio: number) => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });

/** Processes with an SDK each, that export to one place. */
function processes(sampler: Sampler = new ParentBasedSampler({ root: new AlwaysOnSampler() })) {
  const exporter = new InMemorySpanExporter();
  const open = (ours = true) => {
    const spanProcessors = [new SimpleSpanProcessor({ exporter })];
    const provider = new TracerProvider({ sampler, spanProcessors, ...(ours ? { idGenerator } : {}) });
    const tracer = provider.getTracer("test");
    return { tracer, telemetry: createTracing({ namespace: "dev", tracer, prescribes: ours }) };
  };
  return { open, exporter, spans: () => exporter.getFinishedSpans() };
}
type Process = ReturnType<ReturnType<typeof processes>["open"]>;

const WORKFLOW = { workflow: "order", version: 1 };
const started = (trace?: Trace, more: Partial<RunStarted> = {}): RunStarted =>
  RunStarted.parse({ v: 1, type: "RunStarted", id: "m1", ...WORKFLOW, input: 1, trace, ...more });

async function start(client: Process, id = "r1"): Promise<RunStarted> {
  return client.telemetry.start({ id, ...WORKFLOW }, async ({ trace, baggage }) => started(trace, { baggage }));
}

function commandOf(coordinator: Process, message: RunStarted, run = "r1", slot = 1, more = {}): RunStep {
  return RunStep.parse({
    ...more,
    v: 1,
    type: "RunStep",
    run,
    workflow: "order",
    slot,
    step: "charge",
    input: 1,
    attempt: 1,
    idempotencyKey: `${run}/${slot}`,
    retry: { maxAttempts: 3, initialMs: 1, factor: 2, maxMs: 10, jitter: "none" },
    timeout: {},
    scheduledAt: Date.now(),
    after: 1,
    trace: coordinator.telemetry.traceOf(message, run),
    baggage: message.baggage,
  });
}

/** Makes an attempt, as a worker does. */
async function attempt(worker: Process, command: RunStep, nth = 1, deliveries = 1, handle = async () => {}) {
  const span = worker.telemetry.attempt(command, nth, { deliveries });
  try {
    await span.run(handle);
    span.end({ how: "completed" });
  } catch (error) {
    span.end({ how: "failed", error });
  }
}

/** Takes messages and decides, as a coordinator does. */
function decide(
  coordinator: Process,
  start: RunStarted,
  upTo: number,
  messages: readonly InboxMessage[] = [start],
  events: readonly RunEvent[] = [],
) {
  const decisions = coordinator.telemetry.decisions("r1");
  decisions.begin();
  for (const message of messages) decisions.took(message);
  return decisions.decided(
    start,
    upTo,
    events.map((event) => ({ event })),
  );
}

function end(coordinator: Process, message: RunStarted, run = "r1", outcome = "RunCompleted") {
  coordinator.telemetry.runEnded({
    run,
    started: message,
    startedAtMs: START_MS,
    endedAtMs: START_MS + 4_000,
    outcome,
  });
}

/** `a(b c)`: a root, and what hangs below it. Orphans are marked. */
function spell(spans: readonly ReadableSpan[]): string {
  const known = new Set(spans.map((s) => s.spanContext().spanId));
  const below = (id: string | undefined): string =>
    spans
      .filter((s) => s.parentSpanContext?.spanId === id)
      .map((s) => s.name + (below(s.spanContext().spanId) && `(${below(s.spanContext().spanId)})`))
      .sort()
      .join(" ");
  const orphans = spans.filter((s) => s.parentSpanContext && !known.has(s.parentSpanContext.spanId));
  return [below(undefined), ...orphans.map((s) => `orphan ${s.name}`)].filter(Boolean).join(" ");
}

/** As it is in production: OpenTelemetry takes a small number for the time since this process began, if that was later. */
const START_MS = 1_700_000_000_000;
const traces = (spans: readonly ReadableSpan[]) => new Set(spans.map((s) => s.spanContext().traceId));

describe("a run", () => {
  it("is one trace with one root, told by a client, two coordinators and a worker", async () => {
    const { open, spans } = processes();
    const [client, coordinator, successor, worker] = [open(), open(), open(), open()];
    const message = await start(client);
    decide(coordinator, message, 1).end("written");
    const command = commandOf(coordinator, message);
    await attempt(worker, command);
    await attempt(worker, command, 2, 2);
    const reread = structuredClone(message);
    decide(successor, reread, 2).end();
    end(successor, reread);

    expect(spell(spans())).toBe("run order(attempt charge attempt charge decide order decide order start order)");
    expect(traces(spans())).toEqual(new Set([idsOfRun("dev", "r1").traceId]));
    const run = spans().find((s) => s.name === "run order")!;
    expect([run.startTime, run.endTime]).toEqual([
      [START_MS / 1_000, 0],
      [START_MS / 1_000 + 4, 0],
    ]);
    expect(new Set(spans().map((s) => s.spanContext().spanId)).size).toBe(6);
  });

  it("hangs below the caller of its client, if there is one", async () => {
    const { open, spans } = processes();
    const [client, coordinator] = [open(), open()];
    const caller = client.tracer.startSpan("POST /orders");
    const message = await context.with(trace.setSpan(ROOT_CONTEXT, caller), () => start(client));
    await attempt(open(), commandOf(coordinator, message));
    end(coordinator, message);
    caller.end();

    expect(spell(spans())).toBe("POST /orders(start order(run order(attempt charge)))");
    expect(traces(spans())).toEqual(new Set([caller.spanContext().traceId]));
  });

  it("is one trace though its client traces nothing", async () => {
    const { open, spans } = processes();
    const coordinator = open();
    await attempt(open(), commandOf(coordinator, started()));
    end(coordinator, started());
    expect(spell(spans())).toBe("run order(attempt charge)");
  });

  it("joins the trace of a client that is none of ours", async () => {
    const { open, spans } = processes();
    const trace = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, tracestate: "vendor=x" };
    end(open(), started(trace));
    const [run] = spans();
    expect(run!.parentSpanContext).toMatchObject({ traceId: "a".repeat(32), spanId: "b".repeat(16) });
    expect(open().telemetry.traceOf(started(trace), "r1")).toEqual({
      traceparent: `00-${"a".repeat(32)}-${idsOfRun("dev", "r1").spanId}-01`,
      tracestate: "vendor=x",
    });
  });

  it("started twice with one id still has one root", async () => {
    const { open, spans } = processes();
    const message = await start(open());
    await start(open());
    end(open(), message);
    expect(spell(spans())).toBe("run order(start order start order)");
  });

  it("told again after a takeover is the same span", async () => {
    const { open, spans } = processes();
    const message = await start(open());
    end(open(), message);
    end(open(), structuredClone(message));
    const ids = spans().filter((s) => s.name === "run order");
    expect(ids).toHaveLength(2);
    expect(ids[0]!.spanContext()).toEqual(ids[1]!.spanContext());
    expect(ids[0]!.attributes).toEqual(ids[1]!.attributes);
  });
});

describe("a decision", () => {
  it("that another coordinator had taken does not pass for the one that was stored", () => {
    const { open, spans } = processes();
    decide(open(), started(), 7).end("written");
    decide(open(), started(), 7).end("moved");
    const [written, moved] = spans();
    expect(written!.spanContext().spanId).not.toBe(moved!.spanContext().spanId);
    expect(moved!.attributes).toMatchObject({ "stepstream.decision.moved": true });
  });
});

const timerFired: InboxMessage = { v: 1, type: "TimerFired", slot: 2 };
const approved: InboxMessage = { v: 1, type: "SignalReceived", id: "s1", name: "approve", payload: { secret: 1 } };

describe("what a decision took and decided", () => {
  it("is events of its span, in order, without payloads", () => {
    const { open, spans } = processes();
    const events: RunEvent[] = [
      { type: "StepScheduled", slot: 3, step: "charge" },
      { type: "StepScheduled", slot: 4, step: "refund", compensation: true },
      { type: "TimerStarted", slot: 5, fireAt: 0 },
    ];
    decide(open(), started(), 7, [timerFired, approved], events).end();
    const [span] = spans();
    expect(span!.kind).toBe(SpanKind.CONSUMER);
    expect(span!.attributes).toMatchObject({ "messaging.batch.message_count": 2, "stepstream.decision.events": 3 });
    expect(span!.events.map(({ name, attributes }) => [name, attributes])).toEqual([
      ["TimerFired", { "stepstream.slot": 2 }],
      ["SignalReceived", { "stepstream.id": "s1", "stepstream.name": "approve" }],
      ["StepScheduled", { "stepstream.slot": 4, "stepstream.step": "refund", "stepstream.compensation": true }],
      ["TimerStarted", { "stepstream.slot": 5, "stepstream.fire_at": "1970-01-01T00:00:00.000Z" }],
    ]);
  });

  it("is told once: by the decision that is stored after a message was taken (D1)", () => {
    const { open, spans } = processes();
    const decisions = open().telemetry.decisions("r1");
    decisions.took(timerFired); // nothing follows from it yet
    decisions.took(approved);
    decisions.decided(started(), 7, []).end("moved");
    decisions.rebuilt(2); // another had decided upon the timer
    decisions.took(approved);
    decisions.decided(started(), 8, []).end();
    decisions.decided(started(), 9, []).end();
    expect(spans().map((span) => span.events.map((event) => event.name))).toEqual([
      ["TimerFired", "SignalReceived"],
      ["Rebuilt", "SignalReceived"],
      [],
    ]);
  });

  it("begins when the messages were in hand", () => {
    const { open, spans } = processes();
    const span = decide(open(), started(), 7);
    const before = Date.now();
    while (Date.now() < before + 5);
    span.end();
    const [seconds, nanos] = spans()[0]!.duration;
    expect(seconds * 1e3 + nanos / 1e6).toBeGreaterThanOrEqual(4);
  });
});

describe("a child", () => {
  const child = (trace: object) => started(undefined, { id: "m2", parent: { run: "r1", slot: 3 }, ...trace });

  it("is in the trace of its parent, below its run", () => {
    const { open, spans } = processes();
    const coordinator = open();
    const parent = started();
    const trace = coordinator.telemetry.traceOf(parent, "r1")!;
    end(coordinator, child({ trace }), "r1-3");
    end(coordinator, parent);
    expect(spell(spans())).toBe("run order(run order)");
    expect(spans()[0]!.attributes).toMatchObject({ "stepstream.parent.run": "r1", "stepstream.parent.slot": 3 });
  });

  it("has a trace of its own where that is wanted, and each run is linked with the other", () => {
    const { open, spans } = processes();
    const coordinator = open();
    const parent = started();
    const link = coordinator.telemetry.traceOf(parent, "r1")!;
    const asked: RunEvent = {
      type: "ChildScheduled",
      ...{ slot: 3, run: "r1-3", ...WORKFLOW, onParentClose: "cancel", trace: "linked" },
    };
    decide(coordinator, parent, 1, [parent], [asked]).end();
    end(coordinator, child({ link }), "r1-3");
    end(coordinator, parent);
    const [decision, ofChild, ofParent] = spans();
    expect(ofChild!.spanContext()).toMatchObject(idsOfRun("dev", "r1-3"));
    expect(ofChild!.parentSpanContext).toBeUndefined();
    expect(ofChild!.links.map((l) => l.context.spanId)).toEqual([ofParent!.spanContext().spanId]);
    expect(decision!.links.map((l) => l.context)).toMatchObject([idsOfRun("dev", "r1-3")]);
  });
});

describe("a run that is parked", () => {
  it("says why; whoever says it too says the same", () => {
    const { open, spans } = processes();
    for (const coordinator of [open(), open()]) {
      const fault = new StalledError("r1", "it waits for nothing.");
      coordinator.telemetry.parked({ run: "r1", started: started(), fault, after: 7 });
    }
    const [span, same] = spans();
    expect(span!.name).toBe("park order");
    expect(span!.parentSpanContext?.spanId).toBe(idsOfRun("dev", "r1").spanId);
    expect(span!.attributes["error.type"]).toBe("STALLED");
    expect(same!.spanContext()).toEqual(span!.spanContext());
  });
});

describe("baggage", () => {
  it("goes from the client's caller to the handlers", async () => {
    const { open } = processes();
    const baggage = propagation.createBaggage({ tenant: { value: "acme, inc" }, plan: { value: "pro" } });
    const caller = propagation.setBaggage(ROOT_CONTEXT, baggage);
    const message = await context.with(caller, () => start(open()));
    expect(message.baggage).toBe("tenant=acme%2C%20inc,plan=pro");
    let seen: unknown;
    await attempt(open(), commandOf(open(), message), 1, 1, async () => {
      seen = propagation.getActiveBaggage()?.getAllEntries();
    });
    expect(seen).toEqual(baggage.getAllEntries());
  });

  it("is cut at what W3C grants, entry by entry (B1)", async () => {
    const entries = Array.from({ length: 100 }, (_, n) => [`key${n}`, { value: "x".repeat(200) }]);
    const caller = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage(Object.fromEntries(entries)));
    const message = await context.with(caller, () => start(processes().open()));
    expect(message.baggage!.length).toBeLessThanOrEqual(8_192);
    expect(message.baggage).toMatch(/^(key\d+=x{200},)+key\d+=x{200}$/);
  });

  it("is not there where there is none", async () => {
    const { telemetry } = processes().open();
    const carried = await telemetry.start({ id: "r1", ...WORKFLOW }, async (given) => given);
    expect(Object.keys(carried)).toEqual(["trace"]);
  });
});

describe("an attempt", () => {
  it("that undoes work is called so", async () => {
    const { open, spans } = processes();
    await attempt(open(), commandOf(open(), started(), "r1", 4, { compensation: true }));
    expect(spans()[0]!.name).toBe("compensate charge");
    expect(spans()[0]!.attributes["stepstream.compensation"]).toBe(true);
  });

  it("says how long until the next one, and that one how long it was", () => {
    const { open, spans } = processes();
    const command = commandOf(open(), started());
    const worker = open();
    worker.telemetry
      .attempt(command, 1, { deliveries: 1 })
      .end({ how: "failed", error: new Error("no"), retryInMs: 40 });
    worker.telemetry.attempt(command, 2, { deliveries: 2, backoffMs: 40 }).end({ how: "completed" });
    expect(spans().map(({ attributes }) => attributes)).toMatchObject([
      { "stepstream.attempt": 1, "stepstream.outcome": "failed", "stepstream.retry_in_ms": 40 },
      { "stepstream.attempt": 2, "stepstream.outcome": "completed", "stepstream.backoff_ms": 40 },
    ]);
  });

  it("is active while the handler runs, so that the handler's own spans hang below it", async () => {
    const { open, spans } = processes();
    const worker = open();
    await attempt(worker, commandOf(open(), started()), 1, 1, async () => {
      await Promise.resolve();
      worker.tracer.startSpan("SELECT").end();
    });
    expect(spans().map((s) => s.name)).toEqual(["SELECT", "attempt charge"]);
    expect(spans()[0]!.parentSpanContext?.spanId).toBe(spans()[1]!.spanContext().spanId);
  });

  it("records what the handler threw", async () => {
    const { open, spans } = processes();
    const error = Object.assign(new Error("declined"), { code: "CARD_DECLINED" });
    await attempt(open(), commandOf(open(), started()), 1, 1, () => Promise.reject(error));
    const [span] = spans();
    expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message: "declined" });
    expect(span!.attributes["error.type"]).toBe("CARD_DECLINED");
    expect(span!.events.map((e) => e.name)).toEqual(["exception"]);
  });

  it("says where it stands, in OpenTelemetry's words and ours", async () => {
    const { open, spans } = processes();
    await attempt(open(), commandOf(open(), started(), "r1", 4), 2, 3);
    expect(spans()[0]!.kind).toBe(SpanKind.CONSUMER);
    expect(spans()[0]!.attributes).toMatchObject({
      "messaging.system.name": "nats",
      "messaging.operation.type": "process",
      "messaging.destination.name": "dev_COMMANDS",
      "messaging.consumer.group.name": "step-charge",
      "messaging.message.id": "r1.4.1",
      "stepstream.run": "r1",
      "stepstream.workflow": "order",
      "stepstream.step": "charge",
      "stepstream.slot": 4,
      "stepstream.attempt": 2,
      "stepstream.deliveries": 3,
    });
  });
});

describe("sampling", () => {
  it.each([
    ["with a client that traces", true],
    ["with a client that does not", false],
  ])("takes all spans of a run or none, %s", async (_with, traced) => {
    const { open, spans } = processes(RATIO(0.5));
    const [client, coordinator, successor, worker] = [open(), open(), open(), open()];
    for (let n = 0; n < 200; n++) {
      const id = `r${n}`;
      const message = traced ? await start(client, id) : started();
      coordinator.telemetry.decisions(id).decided(message, 1, []).end();
      await attempt(worker, commandOf(coordinator, message, id));
      end(successor, structuredClone(message), id);
    }
    const perRun = Map.groupBy(spans(), (s) => s.attributes["stepstream.run"]);
    expect([...perRun.values()].map((of) => of.length)).toEqual(Array(perRun.size).fill(traced ? 4 : 3));
    expect(perRun.size).toBeGreaterThan(60);
    expect(perRun.size).toBeLessThan(140);
  });
});

describe("a client that is not sampled", () => {
  it("is not followed by a run that is, though the others sample all", async () => {
    const { open, spans } = processes();
    const { traceId, spanId } = idsOfRun("dev", "r1");
    const message = started({ traceparent: `00-${traceId}-${spanId}-00` });
    decide(open(), message, 1).end();
    await attempt(open(), commandOf(open(), message));
    end(open(), message);
    expect(spans()).toEqual([]);
  });
});

describe("a run that is not sampled", () => {
  const unsampled = started({ traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-00` }, { baggage: "tenant=acme" });

  /** @returns The names of the spans that the sampler was asked about; probes aside. */
  async function askedBy(sampler: Sampler, handle?: () => Promise<void>) {
    const asked: string[] = [];
    const { open, spans } = processes({
      toString: () => "counting",
      shouldSample: (...question) => {
        if (!question[2].endsWith("?")) asked.push(question[2]);
        return sampler.shouldSample(...question);
      },
    });
    const coordinator = open();
    decide(coordinator, unsampled, 1).end();
    await attempt(open(), commandOf(coordinator, unsampled), 1, 1, handle);
    return { asked, told: spans().map((span) => span.name) };
  }

  it("costs no span, and its handlers know that it is not, and have its baggage", async () => {
    const inside: unknown[] = [];
    const { asked, told } = await askedBy(RATIO(1), async () => {
      inside.push(trace.getSpanContext(context.active())?.traceFlags);
      inside.push(propagation.getActiveBaggage()?.getEntry("tenant")?.value);
    });
    expect([asked, told, inside]).toEqual([[], [], [0, "acme"]]);
  });

  it.each([
    ["all", new AlwaysOnSampler()],
    ["a ratio", new TraceIdRatioBasedSampler(1)],
  ])("is asked about where the sampler goes by itself and not by parents: %s", async (_which, sampler) => {
    const names = ["decide order", "attempt charge"];
    expect(await askedBy(sampler)).toEqual({ asked: names, told: names });
  });
});

describe("a caller that is not sampled", () => {
  it("is not followed by a run that is", async () => {
    const { open, spans } = processes();
    const trace = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-00` };
    const message = started(trace);
    decide(open(), message, 1, [approved]).end();
    await attempt(open(), commandOf(open(), message));
    end(open(), started(open().telemetry.traceOf(message, "r1")), "r1-3"); // a child
    end(open(), message);
    expect(spans()).toEqual([]);
  });
});

describe("an SDK without our id generator", () => {
  it("keeps a run in one trace; without a caller, the root's own id is missing", async () => {
    const { open, spans } = processes();
    const message = await start(open(false));
    await attempt(open(false), commandOf(open(false), message));
    end(open(false), message);
    expect(traces(spans())).toEqual(new Set([idsOfRun("dev", "r1").traceId]));
    expect(new Set(spans().map((s) => s.parentSpanContext?.spanId))).toEqual(new Set([idsOfRun("dev", "r1").spanId]));
  });

  it("leaves no orphan below a caller", async () => {
    const { open, spans } = processes();
    const client = open(false);
    const caller = client.tracer.startSpan("POST /orders");
    const message = await context.with(trace.setSpan(ROOT_CONTEXT, caller), () => start(client));
    await attempt(open(false), commandOf(open(false), message));
    end(open(false), message);
    caller.end();
    expect(spell(spans())).toBe("POST /orders(start order(attempt charge run order))");
  });
});
