import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
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
import { RunStarted, RunStep, type Trace } from "@stepstream/contracts";
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
const started = (trace?: Trace): RunStarted =>
  RunStarted.parse({ v: 1, type: "RunStarted", id: "m1", ...WORKFLOW, input: 1, trace });

async function start(client: Process, id = "r1"): Promise<RunStarted> {
  return client.telemetry.start({ id, ...WORKFLOW }, async (trace) => started(trace));
}

function commandOf(coordinator: Process, message: RunStarted, run = "r1", slot = 1): RunStep {
  return RunStep.parse({
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
  });
}

function end(coordinator: Process, message: RunStarted, run = "r1", outcome = "RunCompleted") {
  coordinator.telemetry.runEnded({ run, started: message, startedAtMs: 1_000, endedAtMs: 5_000, outcome });
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

const traces = (spans: readonly ReadableSpan[]) => new Set(spans.map((s) => s.spanContext().traceId));

describe("a run", () => {
  it("is one trace with one root, told by a client, two coordinators and a worker", async () => {
    const { open, spans } = processes();
    const [client, coordinator, successor, worker] = [open(), open(), open(), open()];
    const message = await start(client);
    coordinator.telemetry.decision(message, "r1", 1, 1).end("written");
    const command = commandOf(coordinator, message);
    await worker.telemetry.attempt(command, 1, 1, async () => {}).catch(() => {});
    await worker.telemetry.attempt(command, 2, 2, async () => {});
    const reread = structuredClone(message);
    successor.telemetry.decision(reread, "r1", 2, 1).end();
    end(successor, reread);

    expect(spell(spans())).toBe("run order(attempt charge attempt charge decide order decide order start order)");
    expect(traces(spans())).toEqual(new Set([idsOfRun("dev", "r1").traceId]));
    const run = spans().find((s) => s.name === "run order")!;
    expect([run.startTime, run.endTime]).toEqual([
      [1, 0],
      [5, 0],
    ]);
    expect(new Set(spans().map((s) => s.spanContext().spanId)).size).toBe(6);
  });

  it("hangs below the caller of its client, if there is one", async () => {
    const { open, spans } = processes();
    const [client, coordinator] = [open(), open()];
    const caller = client.tracer.startSpan("POST /orders");
    const message = await context.with(trace.setSpan(ROOT_CONTEXT, caller), () => start(client));
    await open().telemetry.attempt(commandOf(coordinator, message), 1, 1, async () => {});
    end(coordinator, message);
    caller.end();

    expect(spell(spans())).toBe("POST /orders(start order(run order(attempt charge)))");
    expect(traces(spans())).toEqual(new Set([caller.spanContext().traceId]));
  });

  it("is one trace though its client traces nothing", async () => {
    const { open, spans } = processes();
    const coordinator = open();
    await open().telemetry.attempt(commandOf(coordinator, started()), 1, 1, async () => {});
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
    open().telemetry.decision(started(), "r1", 7, 1).end("written");
    open().telemetry.decision(started(), "r1", 7, 1).end("moved");
    const [written, moved] = spans();
    expect(written!.spanContext().spanId).not.toBe(moved!.spanContext().spanId);
    expect(moved!.attributes).toMatchObject({ "stepstream.decision.moved": true });
  });
});

describe("an attempt", () => {
  it("is active while the handler runs, so that the handler's own spans hang below it", async () => {
    const { open, spans } = processes();
    const worker = open();
    await worker.telemetry.attempt(commandOf(open(), started()), 1, 1, async () => {
      await Promise.resolve();
      worker.tracer.startSpan("SELECT").end();
    });
    expect(spans().map((s) => s.name)).toEqual(["SELECT", "attempt charge"]);
    expect(spans()[0]!.parentSpanContext?.spanId).toBe(spans()[1]!.spanContext().spanId);
  });

  it("records what the handler threw, and throws it on", async () => {
    const { open, spans } = processes();
    const error = Object.assign(new Error("declined"), { code: "CARD_DECLINED" });
    await expect(
      open().telemetry.attempt(commandOf(open(), started()), 1, 1, () => Promise.reject(error)),
    ).rejects.toBe(error);
    const [span] = spans();
    expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message: "declined" });
    expect(span!.attributes["error.type"]).toBe("CARD_DECLINED");
    expect(span!.events.map((e) => e.name)).toEqual(["exception"]);
  });

  it("says where it stands, in OpenTelemetry's words and ours", async () => {
    const { open, spans } = processes();
    await open().telemetry.attempt(commandOf(open(), started(), "r1", 4), 2, 3, async () => {});
    expect(spans()[0]!.kind).toBe(SpanKind.CONSUMER);
    expect(spans()[0]!.attributes).toMatchObject({
      "messaging.system": "nats",
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
      coordinator.telemetry.decision(message, id, 1, 1).end();
      await worker.telemetry.attempt(commandOf(coordinator, message, id), 1, 1, async () => {});
      end(successor, structuredClone(message), id);
    }
    const perRun = Map.groupBy(spans(), (s) => s.attributes["stepstream.run"]);
    expect([...perRun.values()].map((of) => of.length)).toEqual(Array(perRun.size).fill(traced ? 4 : 3));
    expect(perRun.size).toBeGreaterThan(60);
    expect(perRun.size).toBeLessThan(140);
  });
});

describe("an SDK without our id generator", () => {
  it("keeps a run in one trace; without a caller, the root's own id is missing", async () => {
    const { open, spans } = processes();
    const message = await start(open(false));
    await open(false).telemetry.attempt(commandOf(open(false), message), 1, 1, async () => {});
    end(open(false), message);
    expect(traces(spans())).toEqual(new Set([idsOfRun("dev", "r1").traceId]));
    expect(new Set(spans().map((s) => s.parentSpanContext?.spanId))).toEqual(new Set([idsOfRun("dev", "r1").spanId]));
  });

  it("leaves no orphan below a caller", async () => {
    const { open, spans } = processes();
    const client = open(false);
    const caller = client.tracer.startSpan("POST /orders");
    const message = await context.with(trace.setSpan(ROOT_CONTEXT, caller), () => start(client));
    await open(false).telemetry.attempt(commandOf(open(false), message), 1, 1, async () => {});
    end(open(false), message);
    caller.end();
    expect(spell(spans())).toBe("POST /orders(start order(attempt charge run order))");
  });
});
