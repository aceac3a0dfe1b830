import { trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { RunStarted, RunStep } from "@stepstream/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { createTelemetry } from "./create.ts";
import { idGenerator } from "./id-generator.ts";
import { startTelemetry, wishes } from "./setup.ts";
import { noTelemetry } from "./telemetry.ts";

afterEach(() => trace.disable());

const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
const started: RunStarted = {
  v: 1,
  type: "RunStarted",
  id: "m",
  workflow: "order",
  version: 1,
  trace: { traceparent },
};

describe("without an SDK", () => {
  it("telemetry is a constant", () => expect(createTelemetry({ namespace: "dev" })).toBe(noTelemetry));

  it("wraps nothing, makes nothing, and hands trace contexts on", () => {
    const made = Promise.resolve();
    expect(noTelemetry.attempt({} as RunStep, 1, { deliveries: 1 }).run(() => made)).toBe(made);
    expect(noTelemetry.start({ id: "r", workflow: "order", version: 1 }, () => made)).toBe(made);
    expect(noTelemetry.decisions("r")).toBe(noTelemetry.decisions("s"));
    expect(noTelemetry.traceOf(started, "r")).toBe(started.trace);
  });

  it("a decision and a command cost under 200 ns", () => {
    const calls = 1_000_000;
    const best = Math.min(...[1, 2, 3, 4, 5].map(() => timeMs(calls)));
    expect((best / calls) * 1e6).toBeLessThan(200);
  });
});

const events: [] = [];

function timeMs(calls: number): number {
  const since = performance.now();
  for (let n = 0; n < calls; n++) {
    const decisions = noTelemetry.decisions("r");
    decisions.begin();
    decisions.took(started);
    const span = decisions.decided(started, n, events);
    noTelemetry.traceOf(started, "r");
    span.end();
  }
  return performance.now() - since;
}

describe("with an SDK", () => {
  it.each([
    ["ours", idGenerator],
    ["the user's own", undefined],
  ])("spans go to it: %s", (_whose, generator) => {
    const exporter = new InMemorySpanExporter();
    const spanProcessors = [new SimpleSpanProcessor({ exporter })];
    trace.setGlobalTracerProvider(
      new TracerProvider({ spanProcessors, ...(generator ? { idGenerator: generator } : {}) }),
    );
    const telemetry = createTelemetry({ namespace: "dev" });
    telemetry.runEnded({ run: "r", started, startedAtMs: 1, endedAtMs: 2, outcome: "RunCancelled" });
    const [span, ...others] = exporter.getFinishedSpans();
    expect(others).toEqual([]); // What was asked of the SDK on the way is not exported.
    expect(span!.spanContext().traceId).toBe("a".repeat(32));
    expect(span!.attributes["stepstream.outcome"]).toBe("cancelled");
  });
});

describe("startTelemetry", () => {
  it.each([
    ["nothing is set", {}],
    ["the SDK is disabled", { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }],
    [
      "there is no exporter",
      {
        OTEL_TRACES_EXPORTER: "none",
        OTEL_METRICS_EXPORTER: "none",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
      },
    ],
  ])("stays off when %s", async (_when, env) => {
    const started = await startTelemetry({ serviceName: "test", env });
    expect(createTelemetry({ namespace: "dev" })).toBe(noTelemetry);
    await started.stop();
  });
});

describe("what is to be told", () => {
  it.each([
    [{}, false, false, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" }, false, true, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_METRICS_EXPORTER: "none" }, false, true, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_TRACES_EXPORTER: "none" }, false, false, true],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://c" }, false, false, true],
    [{ OTEL_TRACES_EXPORTER: "console" }, false, true, false],
    [{ OTEL_METRICS_EXPORTER: "prometheus" }, false, false, true],
    [{}, true, false, true],
    [{ OTEL_METRICS_EXPORTER: "none" }, true, false, true],
    [{ OTEL_SDK_DISABLED: "true", OTEL_TRACES_EXPORTER: "otlp" }, true, false, false],
  ])("%o, scraped %s: traces %s, metrics %s", (env, scraped, traces, metrics) => {
    expect(wishes(env, scraped)).toEqual({ traces, metrics });
  });
});
