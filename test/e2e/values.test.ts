/** Values that JSON has no form for, on every path between the processes, on a real server. */

import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import {
  type Client,
  connect,
  type InvalidInputError,
  InvalidOutputError,
  isStepError,
  pipeline,
  step,
  workflow,
} from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { cli } from "../cli/scene.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";

const Rich = z.object({
  at: z.date(),
  big: z.bigint(),
  map: z.map(z.string(), z.date()),
  set: z.set(z.bigint()),
  bytes: z.instanceof(Uint8Array),
  nan: z.nan(),
  loose: z.any(),
});
type Rich = z.infer<typeof Rich>;
const rich = (n = 0): Rich => ({
  at: new Date(Date.UTC(2026, 10, 26, 0, 0, n)),
  big: 2n ** 64n + BigInt(n),
  map: new Map([["due", new Date(n)]]),
  set: new Set([1n, BigInt(n)]),
  bytes: new Uint8Array([1, 2, n]),
  nan: Number.NaN,
  loose: [
    undefined,
    -0,
    Number.POSITIVE_INFINITY,
    { $type: "Date", value: 1 },
    Buffer.from("b"),
    new Map([[{ k: 1 }, [1n]]]),
  ],
});
const same = { input: Rich, output: Rich };

const echo = step("echo", same);
const flaky = step("flaky", { ...same, retry: { maxAttempts: 2 } });
const refuse = step("refuse", { input: Rich, output: z.void(), errors: { TooLate: Rich } });
const undo = step("undo", { input: Rich, output: z.void() });
const wrong = step("wrong", { input: z.string(), output: z.any(), retry: { maxAttempts: 1 } });

const child = workflow("child", same, async (input, w) => w.run(echo, input));
const everything = workflow(
  "everything",
  {
    ...same,
    signals: { tell: Rich },
    queries: { ask: { input: Rich, output: Rich } },
    updates: { change: { input: Rich, output: Rich } },
  },
  async (input, w) => {
    let told: Rich | undefined;
    w.onQuery("ask", (question) => question);
    w.onUpdate("change", async (by) => w.run(echo, by));
    told = await w.waitFor("tell");
    const kept = w.sideEffect(() => rich(2));
    const list = await w.allSettled([w.run(echo, kept), w.child(child, told), w.run(flaky, input)]);
    // Dates are dates here, in the first run as in a replay.
    for (const one of list)
      if (one.status === "rejected" || !(one.value.at instanceof Date)) throw new Error("not a Date");
    try {
      await w.run(refuse, input);
    } catch (error) {
      if (!isStepError(error, refuse, "TooLate")) throw error;
      const { data } = error.cause;
      return {
        ...told,
        map: new Map([
          ["error", data.at],
          ["input", (error.input as Rich).at],
        ]),
      };
    }
    return told;
  },
);
const again = workflow(
  "again",
  { input: z.object({ left: z.bigint(), at: z.date() }), output: z.date() },
  async (input, w) => (input.left > 0n ? w.continueAsNew({ ...input, left: input.left - 1n }) : input.at),
);
const undone = workflow("undone", { input: Rich, output: z.void() }, async (input, w) => {
  w.compensate(undo, input);
  throw new Error("undo it");
});
const lines = pipeline("lines", { input: Rich, output: z.array(Rich) })
  .step("one", echo)
  .map("all", echo, (s) => [s.one, s.input])
  .build();
const returns = workflow("returns", { input: z.string(), output: z.any() }, async (what, w) => {
  if (what === "step") return w.run(wrong, what);
  if (what === "side effect") return w.sideEffect(() => () => 1);
  if (what === "input") return w.run(wrong, (() => 1) as never);
  return { list: [new URL("http://a.b")] };
});
const faulty = { ...same, input: z.any() };
const schemas = {
  "async-output": workflow(
    "async-output",
    { ...faulty, output: z.any().refine(() => Promise.reject(new Error("late"))) },
    async () => 1,
  ),
  "throwing-output": workflow(
    "throwing-output",
    {
      ...faulty,
      output: z.any().refine(() => {
        throw new Error("bug");
      }),
    },
    async () => 1,
  ),
  "async-input": workflow("async-input", { ...faulty, input: z.any().transform(() => Promise.resolve(1)) }, async () =>
    rich(),
  ),
  "async-step": workflow("async-step", faulty, async (_input, w) =>
    w.run(step("echo", { ...same, output: z.any().transform(() => Promise.reject(new Error("late"))) }), rich()),
  ),
};

const late = z.any().refine(() => Promise.reject(new Error("late")));
const lateDesk = workflow(
  "late-desk",
  {
    input: z.any(),
    output: z.any(),
    signals: { tell: late },
    updates: { change: { input: late, output: z.any() }, answer: { input: z.any(), output: late } },
    queries: {
      ask: { input: late, output: z.any() },
      fine: z.any().transform(() => {
        throw new Error("bug");
      }),
    },
  },
  async (_input, w) => {
    w.onUpdate("change", () => 1);
    w.onUpdate("answer", async () => 1);
    w.onQuery("ask", () => 1);
    w.onQuery("fine", () => 1);
    return w.waitFor("tell");
  },
);

let server: TestServer;
let client: Client;
let worker: Worker;
let coordinator: Coordinator;
const undid: Rich[] = [];
const details: unknown[] = [];
const where = { namespace: `values-${process.pid}` };

async function startCoordinator(): Promise<void> {
  const workflows = [child, everything, again, undone, lines, returns, lateDesk, ...Object.values(schemas)];
  coordinator = await createCoordinator({ nats: server.url, ...where, workflows }).start();
}

beforeAll(async () => {
  server = await startTestServer();
  client = await connect({ nats: server.url, ...where, partitions: 4 });
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats: server.url, ...where, logger })
    .handle(echo, async (input) => input)
    .handle(flaky, async (input, ctx) => {
      if (ctx.attempt > 1) {
        details.push(ctx.heartbeatDetails);
        return input;
      }
      ctx.heartbeat({ at: input.at, seen: new Set([1]) });
      throw new Error("once more");
    })
    .handle(refuse, async (input, ctx) => ctx.fail("TooLate", input))
    .handle(undo, async (input) => void undid.push(input))
    .handle(wrong, async () => ({ list: [Symbol("s")] }))
    .start();
  await startCoordinator();
});
afterAll(async () => {
  await worker?.stop({ drainMs: 0 });
  await coordinator?.stop();
  await client?.close();
  await server?.stop();
});

describe("a value that JSON has no form for", { timeout: 60_000 }, () => {
  it("arrives as it was sent: inputs, outputs, signals, queries, updates, children, side effects, errors, details", async () => {
    const run = await client.start(everything, rich(), { id: "every-1" });
    expect(await run.query("ask", rich(7))).toEqual(rich(7));
    expect(await run.update("change", rich(8))).toEqual(rich(8));
    await coordinator.stop();
    await startCoordinator();
    await run.signal("tell", rich(3));
    expect(await run.result()).toEqual({
      ...rich(3),
      map: new Map([
        ["error", rich().at],
        ["input", rich().at],
      ]),
    });
    expect(details).toEqual([{ at: rich().at, seen: new Set([1]) }]);
  });

  it("arrives with a start of any kind, in a pipeline, in a compensation, and where a run continues as new", async () => {
    const signalled = await client.signalWithStart(everything, rich(), {
      id: "every-2",
      signal: { name: "tell", payload: rich(4) },
    });
    expect((await signalled.result()).set).toEqual(rich(4).set);
    await client.startMany(lines, [{ id: "lines-1", input: rich(5) }]);
    expect(await client.handle(lines, "lines-1").result()).toEqual([rich(5), rich(5)]);
    expect(await (await client.runStep(echo, rich(6))).result()).toEqual(rich(6));
    const at = new Date(9);
    expect(await (await client.start(again, { left: 2n, at })).result()).toEqual(at);
    await expect((await client.start(undone, rich(1))).result()).rejects.toThrow("undo it");
    expect(undid).toEqual([rich(1)]);
  });

  it("arrives with the runs of a schedule", async () => {
    const schedule = await client.schedules.create("rich", { every: "100d", workflow: child, input: rich(1) });
    const { run } = await schedule.trigger();
    await expect
      .poll(() =>
        client
          .handle(child, run)
          .status()
          .then(
            ({ status }) => status,
            () => "none",
          ),
      )
      .toBe("completed");
    expect(await client.handle(child, run).result()).toEqual(rich(1));
    await schedule.change({ every: "100d", workflow: child, input: rich(2) });
    const next = await schedule.trigger();
    await expect
      .poll(() =>
        client
          .handle(child, next.run)
          .status()
          .then(
            ({ status }) => status,
            () => "none",
          ),
      )
      .toBe("completed");
    expect(await client.handle(child, next.run).result()).toEqual(rich(2));
    await schedule.delete();
  });

  it("is JSON on the wire and in the history, readable for people and for the command line", async () => {
    const env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: where.namespace };
    const input = '{"left":{"$type":"BigInt","value":"1"},"at":{"$type":"Date","value":"2026-11-26T00:00:00.000Z"}}';
    const started = await cli(["start", "again", "--input", input, "--id", "again-cli", "--wait"], env);
    expect(started).toMatchObject({ code: 0 });
    expect(JSON.parse(started.out)).toEqual({ $type: "Date", value: "2026-11-26T00:00:00.000Z" });
    expect((await cli(["show", "again-cli"], env)).out).toMatch(/output {4}"2026-11-26T00:00:00.000Z"/);
    expect((await cli(["history", "again-cli"], env)).out).toContain('output "2026-11-26T00:00:00.000Z"');
    expect(JSON.parse((await cli(["show", "again-cli", "--json"], env)).out).output).toEqual(JSON.parse(started.out));
    expect((await cli(["replay", "every-1"], env)).err).not.toContain("diverges");
  });

  it("is refused at the caller, with its path, where it cannot be sent", async () => {
    const run = client.handle(everything, "never");
    const fn = { ...rich(), loose: { on: [() => 1] } };
    const refused = (promise: Promise<unknown>) =>
      promise.then(
        () => "sent",
        (error: InvalidInputError) => `${error.code} ${error.path}`,
      );
    expect(await refused(client.start(child, fn))).toBe("INVALID_INPUT loose.on[0]");
    expect(await refused(run.signal("tell", fn))).toBe("INVALID_INPUT loose.on[0]");
    expect(await refused(run.update("change", fn))).toBe("INVALID_INPUT loose.on[0]");
    expect(await refused(run.query("ask", fn))).toBe("INVALID_INPUT loose.on[0]");
    expect(await refused(client.runStep(echo, fn))).toBe("INVALID_INPUT loose.on[0]");
    expect(await refused(client.schedules.create("never", { every: "1d", workflow: child, input: fn }))).toBe(
      "INVALID_INPUT input.loose.on[0]",
    );
  });

  it.each([
    ["step", /output of step "wrong" is not valid at list\[0\]: a symbol cannot be sent/],
    ["side effect", /output of w.sideEffect is not valid: a function cannot be sent/],
    ["input", /input of step "wrong" is not valid: a function cannot be sent/],
    ["output", /output of workflow "returns" is not valid at list\[0\]: an instance of URL cannot be sent/],
  ])("fails the run where its %s cannot be sent", async (what, why) => {
    await expect((await client.start(returns, what)).result()).rejects.toThrow(why);
  });
});

describe("a schema that is async or throws", { timeout: 60_000 }, () => {
  const ASYNC = /its schema is async, and async schemas are not supported/;
  it.each([
    ["async-output", ASYNC],
    ["throwing-output", /its schema threw \(bug\)/],
    ["async-input", ASYNC],
    ["async-step", ASYNC],
  ] as const)("fails its run, and no other: %s", async (name, why) => {
    // The client must not be the one that finds out.
    const blind = workflow(name, { input: z.any(), output: z.any() }, async () => undefined);
    const run = await client.start(blind, {}, { id: name });
    const error = await run.result().catch((thrown: unknown) => thrown);
    expect((error as Error).message).toMatch(why);
    const status = await run.status();
    expect([status.status, status.parked]).toEqual(["failed", undefined]);
    await expect(run.terminate()).rejects.toThrow(/is over/);
    await run.delete();
  });

  it("refuses what is sent to a run, which goes on and can be terminated", async () => {
    await client.start(
      workflow("late-desk", { input: z.any(), output: z.any() }, async () => 1),
      {},
      { id: "late-desk" },
    );
    const run = client.get("late-desk");
    await expect(run.signal("tell", 1)).rejects.toMatchObject({
      code: "SIGNAL_REFUSED",
      message: expect.stringMatching(ASYNC),
    });
    await expect(run.update("change", 1 as never)).rejects.toMatchObject({
      code: "UPDATE_REFUSED",
      message: expect.stringMatching(ASYNC),
    });
    await expect(run.update("answer", 1 as never)).rejects.toThrow(ASYNC);
    await expect(run.query("ask", 1 as never)).rejects.toMatchObject({
      code: "QUERY_FAILED",
      message: expect.stringMatching(ASYNC),
    });
    await expect(run.query("fine", undefined as never)).rejects.toMatchObject({
      code: "QUERY_FAILED",
      message: expect.stringMatching(/its schema threw \(bug\)/),
    });
    expect((await run.status()).status).toBe("running");
    await run.terminate();
    await run.delete();
  });

  it("is refused at the client, before anything is sent", async () => {
    await expect(client.start(schemas["async-input"], {})).rejects.toThrow(ASYNC);
    const run = client.handle(schemas["async-output"], "again-cli");
    await expect(run.result()).rejects.toThrow(InvalidOutputError);
  });
});
