import { connect } from "@stepstream/sdk";
import { idsOfRun } from "@stepstream/telemetry";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { type CollectedSpan, startCollector } from "./telemetry/collector.ts";
import { Processes } from "./telemetry/processes.ts";

let server: TestServer;
let collector: Awaited<ReturnType<typeof startCollector>>;
let processes: Processes;
let namespace: string;
let tests = 0;

beforeAll(async () => {
  server = await startTestServer();
});
beforeEach(async () => {
  namespace = `traced${++tests}`;
  collector = await startCollector();
  processes = new Processes(server.url, namespace, collector.endpoint);
});
afterEach(async () => {
  processes.kill();
  await collector.close();
});
afterAll(() => server?.stop());

const nanos = (ms: number) => BigInt(ms) * 1_000_000n;

describe("a run of three steps, with a retry and a coordinator that is killed", () => {
  it("reads as one trace with one root", async () => {
    const RUN = "trip-1";
    const killed = await processes.coordinator("trip");
    await processes.worker("handlers");
    const client = processes.client("client", ["trip", RUN]);
    await collector.until((span) => span.name === "attempt flaky");
    await processes.end(killed, "SIGKILL");
    await processes.coordinator("trip");
    expect((await client).line).toBe("result abc");
    await processes.endAll();

    const spans = [...new Map(collector.spans.map((span) => [span.spanId, span])).values()];
    const known = new Set(spans.map((span) => span.spanId));
    expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([idsOfRun(namespace, RUN).traceId]));
    const roots = spans.filter((span) => !span.parentSpanId);
    expect(roots.map((span) => span.name)).toEqual(["run trip"]);
    expect(roots[0]!.spanId).toBe(idsOfRun(namespace, RUN).spanId);
    expect(spans.filter((span) => span.parentSpanId && !known.has(span.parentSpanId))).toEqual([]);

    const named = (name: string) => spans.filter((span) => span.name === name);
    expect(named("start trip")).toHaveLength(1);
    expect(named("attempt first")).toHaveLength(1);
    expect(named("attempt flaky").map((span) => span.status.code ?? 0)).toEqual([2, 0]);
    expect(named("attempt last")).toHaveLength(1);
    expect(named("SELECT")[0]!.parentSpanId).toBe(named("attempt first")[0]!.spanId);
    expect(named("decide trip").length).toBeGreaterThan(0);

    await using reader = await connect({ nats: server.url, namespace });
    const history = await reader.get(RUN).history();
    const inbox = history.filter((entry) => entry.kind === "inbox");
    expect([roots[0]!.startTimeUnixNano, roots[0]!.endTimeUnixNano].map(BigInt)).toEqual([
      nanos(inbox[0]!.at),
      nanos(inbox.at(-1)!.at),
    ]);
    const writers = history.flatMap((entry) => (entry.kind === "journal" ? [entry.message.by] : []));
    expect(new Set(writers).size).toBe(2);
    expect(named("decide trip").map(upTo)).toEqual(expect.arrayContaining([inbox.at(-1)!.seq]));
  });
});

describe("sampling", () => {
  const sampler = (name: string, arg = "") => ({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg });
  const runsOf = (spans: readonly CollectedSpan[]) => Map.groupBy(spans, (span) => attribute(span, "stepstream.run"));

  it("by ratio takes all spans of a run or none", async () => {
    const half = sampler("parentbased_traceidratio", "0.5");
    const ids = Array.from({ length: 30 }, (_, n) => `hop-${n}`);
    await processes.coordinator("trip", half);
    await processes.worker("handlers", half);
    await processes.client("client", ["hop", ...ids], half);
    await processes.endAll();

    const runs = runsOf(collector.spans.filter((span) => span.name !== "SELECT"));
    for (const spans of runs.values()) {
      const names = new Set(spans.map((span) => span.name));
      expect(names).toEqual(new Set(["start hop", "decide hop", "attempt first", "run hop"]));
    }
    // Which ones is decided by their trace ids, and those by the names of the runs: the same every time.
    expect(runs.size).toBeGreaterThan(5);
    expect(runs.size).toBeLessThan(25);
  });

  it("goes by the client: what it leaves out, nobody takes up", async () => {
    await processes.coordinator("trip", sampler("parentbased_always_on"));
    await processes.worker("handlers", sampler("parentbased_always_on"));
    await processes.client("client", ["hop", "unseen"], sampler("always_off"));
    await processes.client("client", ["hop", "seen"], sampler("always_on"));
    await processes.endAll();
    const runs = runsOf(collector.spans.filter((span) => span.name !== "SELECT"));
    expect([...runs.keys()]).toEqual(["seen"]);
  });

  it("goes by the coordinator, if the client traces nothing", async () => {
    const off = { OTEL_SDK_DISABLED: "true" };
    const silent = await processes.coordinator("trip", sampler("parentbased_always_off"));
    await processes.worker("handlers", sampler("parentbased_always_on"));
    await processes.client("client", ["hop", "unseen"], off);
    await processes.end(silent);
    await processes.coordinator("trip", sampler("parentbased_always_on"));
    await processes.client("client", ["hop", "seen"], off);
    await processes.endAll();
    const runs = runsOf(collector.spans.filter((span) => span.name !== "SELECT"));
    expect([...runs.keys()]).toEqual(["seen"]);
  });
});

function upTo(span: CollectedSpan): number {
  return Number(attribute(span, "stepstream.decision.up_to"));
}

function attribute(span: CollectedSpan, key: string): unknown {
  const value = span.attributes.find((a) => a.key === key)?.value;
  return value && Object.values(value)[0];
}
