import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "@stepstream/sdk";
import { idsOfRun } from "@stepstream/telemetry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { type CollectedSpan, startCollector } from "./telemetry/collector.ts";

const main = (service: string) => fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
const file = (name: string) => fileURLToPath(new URL(`telemetry/${name}.ts`, import.meta.url));

const NAMESPACE = "traced";
const RUN = "trip-1";

let server: TestServer;
let collector: Awaited<ReturnType<typeof startCollector>>;
const children: ChildProcess[] = [];

beforeAll(async () => {
  server = await startTestServer();
  collector = await startCollector();
});
afterAll(async () => {
  for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
  await collector.close();
  await server.stop();
});

/** Resolves when the program has printed a line that holds `says`. */
async function run(args: string[], says: string): Promise<{ child: ChildProcess; line: string }> {
  const env = {
    ...process.env,
    NATS_URL: server.url,
    STEPSTREAM_NAMESPACE: NAMESPACE,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "100",
  };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  for await (const line of createInterface(child.stdout!)) {
    if (!line.includes(says)) continue;
    child.stdout!.resume();
    return { child, line };
  }
  throw new Error(`${args.at(-1)} ended without saying "${says}".`);
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

const nanos = (ms: number) => BigInt(ms) * 1_000_000n;

describe("a run of three steps, with a retry and a coordinator that is killed", () => {
  it("reads as one trace with one root", async () => {
    const coordinate = () => run([main("coordinator"), file("trip")], "runs trip v1");
    const killed = await coordinate();
    const worker = await run([main("step-worker"), file("handlers")], "is ready");
    const client = run([file("client"), RUN], "result");
    await collector.until((span) => span.name === "attempt flaky");
    await ended(killed.child, "SIGKILL");
    const successor = await coordinate();
    expect((await client).line).toBe("result abc");
    await ended(worker.child, "SIGTERM");
    await ended(successor.child, "SIGTERM");
    await collector.until((span) => span.name === "start trip");

    const spans = [...new Map(collector.spans.map((span) => [span.spanId, span])).values()];
    const known = new Set(spans.map((span) => span.spanId));
    expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([idsOfRun(NAMESPACE, RUN).traceId]));
    const roots = spans.filter((span) => !span.parentSpanId);
    expect(roots.map((span) => span.name)).toEqual(["run trip"]);
    expect(roots[0]!.spanId).toBe(idsOfRun(NAMESPACE, RUN).spanId);
    expect(spans.filter((span) => span.parentSpanId && !known.has(span.parentSpanId))).toEqual([]);

    const named = (name: string) => spans.filter((span) => span.name === name);
    expect(named("start trip")).toHaveLength(1);
    expect(named("attempt first")).toHaveLength(1);
    expect(named("attempt flaky").map((span) => span.status.code ?? 0)).toEqual([2, 0]);
    expect(named("attempt last")).toHaveLength(1);
    expect(named("SELECT")[0]!.parentSpanId).toBe(named("attempt first")[0]!.spanId);
    expect(named("decide trip").length).toBeGreaterThan(0);

    await using reader = await connect({ nats: server.url, namespace: NAMESPACE });
    const history = await reader.get(RUN).history();
    const inbox = history.filter((entry) => entry.kind === "inbox");
    expect([roots[0]!.startTimeUnixNano, roots[0]!.endTimeUnixNano].map(BigInt)).toEqual([
      nanos(inbox[0]!.at),
      nanos(inbox.at(-1)!.at),
    ]);
    const writers = history.flatMap((entry) => (entry.kind === "journal" ? [entry.message.by] : []));
    expect(new Set(writers).size).toBe(2);
    expect(named("decide trip").map(upTo)).toEqual(expect.arrayContaining([inbox.at(-1)!.seq]));
  }, 60_000);
});

function upTo(span: CollectedSpan): number {
  return Number(span.attributes.find((a) => a.key === "stepstream.decision.up_to")!.value.intValue);
}
