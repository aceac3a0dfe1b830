import { findJaeger, type Jaeger, startJaeger } from "@stepstream/infra";
import { connect } from "@stepstream/sdk";
import { idsOfRun } from "@stepstream/telemetry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { eventsOf, type JaegerTrace, parentOf, tag, traceOf } from "./telemetry/jaeger-api.ts";
import { Processes } from "./telemetry/processes.ts";
import { playJourney } from "./telemetry/scenario.ts";

/** Traces as a real Jaeger has them. It is looked for on the PATH and in the cache; see infra/src/jaeger/find.ts. */
const found = await findJaeger().catch((error: Error) => {
  console.error(`!!! The traces were NOT tried with Jaeger. ${error.message}
!!! To have it built, once, with Go: node infra/src/main.ts find-jaeger --build`);
  return undefined;
});

const NAMESPACE = "jaeger";
const RUN = "journey-1";

describe.skipIf(!found)("a journey that fails, with a coordinator that is killed, in Jaeger", () => {
  let server: TestServer;
  let jaeger: Jaeger;
  let processes: Processes;
  let trace: JaegerTrace;
  let newsTrace: JaegerTrace;
  let times: { startedAt: number; endedAt: number };
  let traceId: string;

  beforeAll(async () => {
    server = await startTestServer();
    jaeger = await startJaeger({ found: found! });
    processes = new Processes(server.url, NAMESPACE, jaeger.otlpUrl);
    const played = await playJourney({ nats: server.url, namespace: NAMESPACE, run: RUN }, jaeger, processes, {
      kill: true,
    });
    times = played;
    trace = played.trace;
    traceId = trace.traceID;
    newsTrace = (await traceOf(jaeger.uiUrl, idsOfRun(NAMESPACE, `${RUN}-news`).traceId))!;
  });
  afterAll(async () => {
    processes?.kill();
    await jaeger?.stop();
    await server?.stop();
  });

  const named = (name: string) =>
    trace.spans.filter((span) => span.operationName === name).sort((a, b) => a.startTime - b.startTime);
  const only = (name: string) => {
    const spans = named(name);
    expect(spans.map((span) => span.operationName)).toEqual([name]);
    return spans[0]!;
  };
  const heardIn = (workflow: string) => named(`decide ${workflow}`).flatMap(eventsOf);

  it("is one trace, from the caller on, in which Jaeger finds nothing wrong", () => {
    const known = new Set(trace.spans.map((span) => span.spanID));
    expect(known.size).toBe(trace.spans.length);
    expect(trace.spans.filter((span) => !parentOf(span)).map((span) => span.operationName)).toEqual(["POST /journeys"]);
    expect(trace.spans.filter((span) => parentOf(span) && !known.has(parentOf(span)!))).toEqual([]);
    // A run is over when the message comes that ends it, and the decision on that a moment later: to Jaeger a skew.
    const warnings = trace.spans.flatMap((span) => span.warnings ?? []);
    expect(warnings.filter((warning) => !warning.startsWith("clock skew"))).toEqual([]);
    expect(new Set(Object.values(trace.processes).map((p) => p.serviceName))).toEqual(
      new Set(["shop", "stepstream-coordinator", "stepstream-worker"]),
    );
  });

  it("has the run's span once, from the start to the end that the log knows", () => {
    const run = only("run journey");
    expect(run.spanID).toBe(idsOfRun(NAMESPACE, RUN).spanId);
    expect(parentOf(run)).toBe(only("start journey").spanID);
    expect(parentOf(only("start journey"))).toBe(only("POST /journeys").spanID);
    expect([run.startTime, run.startTime + run.duration]).toEqual([times.startedAt * 1_000, times.endedAt * 1_000]);
    expect(tag(run, "stepstream.outcome")).toBe("failed");
    expect(tag(run, "error")).toBe(true);
  });

  it("has decisions and attempts below the run; a retry beside what failed, with its wait", () => {
    const run = only("run journey").spanID;
    const [busy, good] = named("attempt book");
    for (const span of [...named("decide journey"), busy!, good!, only("attempt pay")])
      expect(parentOf(span)).toBe(run);
    expect([busy!, good!].map((span) => tag(span, "stepstream.attempt"))).toEqual([1, 2]);
    expect([busy!, good!].map((span) => tag(span, "stepstream.outcome"))).toEqual(["failed", "completed"]);
    expect(tag(busy!, "stepstream.retry_in_ms")).toBe(50);
    expect(tag(good!, "stepstream.backoff_ms")).toBe(50);
    expect(good!.startTime).toBeGreaterThanOrEqual(busy!.startTime + busy!.duration + 50_000);
    expect(tag(only("attempt pay"), "error.type")).toBe("CardDeclined");
  });

  it("says which attempt undoes work", () => {
    const undo = only("compensate unbook");
    expect(parentOf(undo)).toBe(only("run journey").spanID);
    expect(tag(undo, "stepstream.compensation")).toBe(true);
    expect(undo.startTime).toBeGreaterThan(only("attempt pay").startTime);
  });

  it("says what came from outside and what was decided, as events", () => {
    expect(heardIn("journey")).toEqual([
      ...["TimerStarted", "TimerFired", "ChildScheduled", "ChildEnded", "ChildScheduled", "ChildEnded"],
      ...["Rebuilt", "SignalReceived", "StepFailed", "RunClosing", "StepScheduled"],
    ]);
  });

  it("has a child in it, with what that did", () => {
    const child = only("run visa");
    expect(parentOf(child)).toBe(only("run journey").spanID);
    const stamp = only("attempt stamp");
    expect(parentOf(stamp)).toBe(child.spanID);
    expect(parentOf(only("SELECT"))).toBe(stamp.spanID);
  });

  it("is linked with a child that has a trace of its own, whose lives are one span", () => {
    const [root, ...others] = newsTrace.spans.filter((span) => !parentOf(span));
    expect([root!.operationName, others]).toEqual(["run news", []]);
    expect(root!.references).toEqual([
      { refType: "FOLLOWS_FROM", traceID: traceId, spanID: only("run journey").spanID },
    ]);
    const asked = named("decide journey").flatMap((span) =>
      span.references.filter((r) => r.refType === "FOLLOWS_FROM"),
    );
    expect(asked).toEqual([{ refType: "FOLLOWS_FROM", traceID: root!.traceID, spanID: root!.spanID }]);
    expect(newsTrace.spans.filter((span) => span.operationName === "attempt stamp")).toHaveLength(2);
    expect(newsTrace.spans.flatMap(eventsOf)).toContain("RunContinued");
  });

  it("has handed the caller's baggage to the handlers, of children too", async () => {
    await using reader = await connect({ nats: server.url, namespace: NAMESPACE });
    const outputs = [`${RUN}-visa`, `${RUN}-news`].map((id) => reader.get(id).result());
    expect(await Promise.all(outputs)).toEqual(["acme", "acme"]);
  });
});
