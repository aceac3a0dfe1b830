/** Pipelines and gates on a real server, with a real coordinator and worker. */

import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import {
  type Client,
  connect,
  type GateSpec,
  pipeline,
  runGates,
  StepError,
  step,
  ValidationError,
  workflow,
} from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const half = step("half", {
  input: z.number(),
  output: z.number(),
  errors: { Odd: z.object({ n: z.number() }) },
});
const total = step("total", { input: z.array(z.number()), output: z.number() });
const show = step("show", { input: z.array(z.unknown()), output: z.string() });

const halves = pipeline("halves", { input: z.array(z.number()), output: z.number() })
  .map("halved", half, (s) => s.input, { concurrency: 3 })
  .step("sum", total)
  .build();

const lenient = pipeline("lenient", { input: z.number(), output: z.number() })
  .parallel({ good: [half, () => 4], given: [half, (s) => s.input] }, { mode: "allSettled" })
  .step("sum", total, (s) => [s.good, s.given].map((r) => (r.status === "fulfilled" ? r.value : -1)))
  .build();

const careless = pipeline("careless", { input: z.array(z.number()), output: z.number() })
  .step("first", half, (s) => Number(s.input[9]!.toFixed()))
  .build();

const gated = pipeline("gated", { input: z.string(), output: z.string() })
  .gate("last", { level: 3, command: "echo last" })
  .gate("sign-off", { level: 2, manual: true })
  .gate("first", { level: 1, command: "echo first; echo noise >&2" })
  .step("shown", show, (s) => [s.first, s["sign-off"], s.last])
  .build();

const GATES: GateSpec[] = [
  { name: "never", level: 3, command: "echo never" },
  { name: "slow", level: 2, command: "echo begun; sleep 30", timeout: "300ms" },
  { name: "fine", level: 1, command: 'test "$FLAVOUR" = vanilla', env: { FLAVOUR: "vanilla" } },
];
const slow = workflow("slow", { input: z.void(), output: z.void() }, async (_input, w) => {
  await runGates(w, GATES);
});

let server: TestServer;
let coordinator: Coordinator;
let worker: Worker;
let client: Client;
beforeAll(async () => {
  server = await startTestServer();
  const bus = { nats: server.url, namespace: `pipeline-${process.pid}` };
  const workflows = [halves, lenient, careless, gated, slow];
  coordinator = await createCoordinator({ ...bus, workflows }).start();
  worker = await createWorker(bus)
    .gates()
    .handle(half, async (n, ctx) => (n % 2 === 0 ? n / 2 : ctx.fail("Odd", { n })))
    .handle(total, async (all) => all.reduce((a, b) => a + b, 0))
    .handle(show, async (results) => JSON.stringify(results))
    .start();
  client = await connect(bus);
});
afterAll(async () => {
  await client?.close();
  await worker?.stop();
  await coordinator?.stop();
  await server?.stop();
});

describe("a pipeline on a real server", () => {
  it("maps with bounded concurrency, and says how far it is", async () => {
    const items = Array.from({ length: 40 }, (_, i) => 2 * i);
    const run = await client.start(halves, items);
    const percents: number[] = [];
    for await (const { percent } of run.progress()) percents.push(percent);
    expect(await run.result()).toBe(780);
    expect(percents.at(-1)).toBe(100);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
  });

  it("fails with the step that failed, its input and its cause", async () => {
    const failure = await client.start(halves, [2, 3]).then((run) => run.result().catch((error: unknown) => error));
    expect(failure).toBeInstanceOf(StepError);
    expect(failure).toMatchObject({ step: "half", input: 3, cause: { code: "Odd", data: { n: 3 } } });
  });

  it("goes on with what there is where a parallel node says allSettled", async () => {
    expect(await (await client.start(lenient, 3)).result()).toBe(1);
    expect(await (await client.start(lenient, 6)).result()).toBe(5);
  });

  it("names the node whose map function threw", async () => {
    const run = await client.start(careless, [1]);
    await expect(run.result()).rejects.toThrow(/node "first" of pipeline "careless"/);
  });

  it("runs gates by level, skips manual ones, and keeps what was printed", async () => {
    const results = JSON.parse(await (await client.start(gated, "x")).result());
    expect(results).toMatchObject([
      { status: "passed", gate: "first", stdout: "first\n", stderr: "noise\n" },
      { status: "skipped", gate: "sign-off", why: "manual" },
      { status: "passed", gate: "last", stdout: "last\n" },
    ]);
  });
});

describe("gates in a workflow", () => {
  it("stop at the first that does not pass, here for its time, with what it had printed", async () => {
    const run = await client.start(slow, undefined);
    const failure = await run.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ValidationError);
    expect(failure).toMatchObject({ gate: "slow", level: 2, stdout: "begun\n", detail: { run: run.id, slot: 2 } });
    const commands = (await run.history()).filter((h) => JSON.stringify(h).includes("echo never"));
    expect(commands).toEqual([]);
  });
});
