import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Client, connect } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { noTerminal, openTerminal } from "../support/terminal.ts";
import { talk, unknown } from "./logging/talk.ts";
import { startCollector } from "./telemetry/collector.ts";
import { Processes, type Started } from "./telemetry/processes.ts";

const main = (service: string) => fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
const HANDLERS = fileURLToPath(new URL("./logging/handlers.ts", import.meta.url));
const WORKFLOWS = fileURLToPath(new URL("./programs/workflows.ts", import.meta.url));

let server: TestServer;
let collector: Awaited<ReturnType<typeof startCollector>>;
let processes: Processes;
let client: Client;
let namespace: string;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  namespace = `logging${count++}`;
  collector = await startCollector();
  processes = new Processes(server.url, namespace, collector.endpoint);
  client = await connect({ nats: server.url, namespace });
});
afterEach(async () => {
  await client.close();
  await processes.endAll();
  processes.kill();
  await collector.close();
});

/** What a program has logged that has ended: each line as JSON, or the test fails. */
const lines = ({ said }: Started): Record<string, any>[] => said.map((line) => JSON.parse(line));

async function play(env = {}) {
  const coordinator = await processes.coordinator("../logging/known");
  const worker = await processes.worker("../logging/handlers", {
    STEPSTREAM_LOG_LEVEL: "debug",
    ...env,
  });
  const run = await client.start(talk, "hello", { id: "r1" });
  expect(await run.result()).toBe("hello");
  return { coordinator, worker };
}

describe("a program's log, when it is no terminal", () => {
  it("is a line of JSON each, with the ids of run, slot, attempt and of the span that is active", async () => {
    const { worker } = await play();
    await processes.end(worker);
    const logged = lines(worker);
    for (const line of logged) expect(line).toMatchObject({ name: "stepstream-worker", namespace });
    const attempts = collector.spans.filter((span) => span.name === "attempt say");
    const inner = collector.spans.filter((span) => span.name === "inner");
    expect([attempts.length, inner.length]).toEqual([2, 2]);
    const where = (attempt: number) => ({ run: "r1", step: "say", slot: 1, attempt });
    const ids = ({ traceId, spanId }: { traceId: string; spanId: string }) => ({ trace_id: traceId, span_id: spanId });
    const attemptOf = (attempt: number) =>
      attempts.find((span) =>
        span.attributes.some(({ key, value }) => key === "stepstream.attempt" && Number(value.intValue) === attempt),
      )!;

    expect(logged.filter((line) => line.msg === "about to say it")).toEqual([
      expect.objectContaining({ level: 30, what: "hello", ...where(1), ...ids(attemptOf(1)) }),
      expect.objectContaining({ level: 30, what: "hello", ...where(2), ...ids(attemptOf(2)) }),
    ]);
    const own = logged.filter((line) => line.msg === "in a span of its own").map((line) => line.span_id);
    expect(new Set(own)).toEqual(new Set(inner.map((span) => span.spanId)));
    expect(logged.find((line) => line.event === "retrying")).toMatchObject({
      level: 40,
      ...where(1),
      ...ids(attemptOf(1)),
      err: { type: "TypeError", message: "lost its voice", stack: expect.stringContaining("handlers.ts") },
    });
  });

  it("has the run's trace in a worker that traces nothing", async () => {
    const { worker } = await play({ OTEL_SDK_DISABLED: "true" });
    await processes.end(worker);
    await collector.until((span) => span.name === "run talk");
    const { traceId } = collector.spans.find((span) => span.name === "run talk")!;
    const told = lines(worker).filter((line) => line.run === "r1" && (line.event === "retrying" || line.what));
    expect(told).toHaveLength(3);
    for (const line of told) {
      expect(line).toMatchObject({ trace_id: traceId });
      expect(line).not.toHaveProperty("span_id");
    }
  });

  it("tells of a run that nobody can take further, with its trace", async () => {
    const coordinator = await processes.coordinator("../logging/known");
    await client.start(unknown, undefined, { id: "r2" });
    await collector.until((span) => span.name === "park unknown");
    await processes.end(coordinator);
    const { traceId } = collector.spans.find((span) => span.name === "park unknown")!;
    expect(lines(coordinator).find((line) => line.event === "parked")).toMatchObject({
      level: 50,
      run: "r2",
      trace_id: traceId,
      err: { code: "UNKNOWN_WORKFLOW" },
    });
  });

  it.each(["coordinator", "step-worker"])("says why a %s cannot start", (service) => {
    const module = service === "coordinator" ? HANDLERS.replace("handlers.ts", "known.ts") : HANDLERS;
    const { status, stdout } = spawnSync(
      process.execPath,
      [main(service), module, "--nats", "nats://127.0.0.1:1", "--connect-timeout", "0s"],
      {
        encoding: "utf8",
      },
    );
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ level: 60, msg: expect.stringContaining("127.0.0.1:1") });
  });
});

describe("what is logged", () => {
  it("is trouble only, with --quiet", async () => {
    const { coordinator, worker } = await processes.quiet("../logging/known", "../logging/handlers");
    expect(await (await client.start(talk, "hush")).result()).toBe("hush");
    await processes.end(coordinator);
    await processes.end(worker);
    expect(lines(coordinator)).toEqual([]);
    expect(lines(worker)).toEqual([expect.objectContaining({ event: "retrying", level: 40 })]);
  });

  it.each([
    [["--log-level", "loud"], '--log-level takes debug, info, warn, error, silent, not "loud".'],
    [["--log-format", "xml"], '--log-format takes json, pretty, not "xml".'],
    [["--metrics-port", "http"], '--metrics-port: "http" is no port.'],
    [["--namespace", "a.b"], 'Invalid namespace "a.b". Use 1 to 32 of A-Z a-z 0-9 _ -.'],
    [["--loud"], "See --help."],
  ])("is not guessed: %j", (wrong, complaint) => {
    for (const program of [
      [main("step-worker"), HANDLERS],
      [main("coordinator"), WORKFLOWS],
    ]) {
      const { status, stderr } = spawnSync(process.execPath, [...program, ...wrong], { encoding: "utf8" });
      expect(status).toBe(2);
      expect(stderr).toContain(complaint);
      expect(stderr).not.toContain("    at ");
    }
  });
});

describe.skipIf(noTerminal)("in a terminal", () => {
  it("is for people", async () => {
    const args = [main("step-worker"), HANDLERS, "--nats", server.url, "--namespace", namespace];
    const terminal = openTerminal(process.execPath, args);
    try {
      await terminal.until(/^\[\d\d:\d\d:\d\d\.\d+\] INFO: worker \S+ is ready/m);
      terminal.type("\x03");
      expect(await terminal.exited).toBe(130);
      expect(terminal.everything()).toContain("INFO: SIGINT: finishing what is under way");
      expect(terminal.everything()).not.toContain('"level"');
    } finally {
      await terminal.close();
    }
  });
});
