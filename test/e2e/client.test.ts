/** The client, against a real server and a real coordinator. The workflows need no worker. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import {
  type Client,
  connect,
  RunAlreadyExistsError,
  RunClosedError,
  WorkflowCancelledError,
  WorkflowFailedError,
  workflow,
} from "@stepstream/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const numbers = { input: z.number(), output: z.number() };
const echo = workflow("echo", numbers, async (n) => n);
const nap = workflow("nap", { input: z.number(), output: z.string() }, async (ms, w) => {
  for (let step = 1; step <= 3; step++) {
    w.progress({ step, total: 4, name: `nap ${step}` });
    await w.sleep(ms);
  }
  return "awake";
});
const broken = workflow("broken", { input: z.void(), output: z.void() }, async () => {
  throw new RangeError("by design");
});
const unknown = workflow("unknown", { input: z.void(), output: z.void() }, async () => {});

let server: TestServer;
let coordinator: Coordinator;
let client: Client;
beforeAll(async () => {
  server = await startTestServer();
  const bus = { nats: server.url, namespace: `client-${process.pid}` };
  coordinator = await createCoordinator({ ...bus, workflows: [echo, nap, broken] }).start();
  client = await connect(bus);
});
afterAll(async () => {
  await client?.close();
  await coordinator?.stop();
  await server?.stop();
});

describe("a client on a real server", () => {
  it("starts a run once, however often it is asked to, and gets its result", async () => {
    const id = "once";
    const starts = await Promise.allSettled([1, 2, 3, 4].map((n) => client.start(echo, n, { id })));
    const started = starts.flatMap((s, i) => (s.status === "fulfilled" ? [i + 1] : []));
    expect(started).toHaveLength(1);
    for (const s of starts) if (s.status === "rejected") expect(s.reason).toBeInstanceOf(RunAlreadyExistsError);
    const attached = await client.start(echo, 99, { id, onConflict: "attach" });
    expect(await attached.result()).toBe(started[0]);
  });

  it("follows progress to the end, and tells the history", async () => {
    const run = await client.start(nap, 100);
    const steps: number[] = [];
    for await (const { step } of run.progress()) steps.push(step);
    expect(steps).toEqual([1, 2, 3]);
    expect(await run.result()).toBe("awake");
    const history = await run.history();
    expect(history.map((h) => h.kind)).not.toContain("malformed");
    expect(history.map((h) => h.seq)).toEqual(history.map((h) => h.seq).sort((a, b) => a - b));
  });

  it("throws what a run failed with, and says how it is", async () => {
    const run = await client.start(broken, undefined, { id: "broken" });
    await expect(run.result()).rejects.toMatchObject({ name: "WorkflowFailedError", cause: { name: "RangeError" } });
    await expect(client.get("broken").result()).rejects.toBeInstanceOf(WorkflowFailedError);
    expect(await client.list({ workflow: broken, status: "failed" })).toMatchObject([{ id: "broken" }]);
  });

  it("cancels a run, and is told where it is too late", async () => {
    const run = await client.start(nap, 60_000);
    await run.cancel({ reason: "enough" });
    await expect(run.result()).rejects.toThrow(WorkflowCancelledError);
    expect(await run.status()).toMatchObject({ status: "cancelled" });
    await expect(run.cancel()).rejects.toThrow(RunClosedError);
  });

  it("sees that a run is parked, and why", async () => {
    const run = await client.start(unknown, undefined);
    while ((await run.status()).status !== "parked") await sleep(50);
    expect(await run.status()).toMatchObject({ parked: { code: "UNKNOWN_WORKFLOW" } });
  });

  it("waits for 2,000 runs at once", async () => {
    const inputs = Array.from({ length: 2_000 }, (_, i) => i);
    const runs = await Promise.all(inputs.map((n) => client.start(echo, n)));
    const startedAt = performance.now();
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(inputs);
    console.log(`2,000 results in ${Math.round(performance.now() - startedAt)} ms`);
  });

  it("starts a run, and waits for it, while the server is away", async () => {
    const waiting = await client.start(nap, 500);
    const result = waiting.result();
    await server.kill();
    const started = client.start(echo, 7);
    await sleep(1_000);
    await server.restart();
    expect(await (await started).result()).toBe(7);
    expect(await result).toBe("awake");
  });

  describe("ends every call within its time-out", () => {
    const patient = { ...numbers, signals: { go: z.number() }, queries: { q: z.number() }, updates: { u: numbers } };
    const lonely = workflow("lonely", patient, async (n) => n);
    const LIMIT_MS = 1_000;
    /** It may look for a second who is there, to say so. */
    const GRACE_MS = 3_000;

    function calls(id: string): [string, () => Promise<unknown>][] {
      const run = client.handle(lonely, id);
      const timeout = LIMIT_MS;
      const callTimeout = timeout;
      const signal = { name: "go", payload: 1 } as const;
      return [
        ["status", () => run.status({ timeout })],
        ["history", () => run.history({ timeout })],
        ["result", () => run.result({ timeout })],
        ["progress", () => run.progress({ timeout }).next()],
        ["signal", () => run.signal("go", 1, { timeout })],
        ["update", () => run.update("u", 1, { timeout })],
        ["query", () => run.query("q", undefined, { timeout })],
        ["cancel", () => run.cancel({ timeout })],
        ["terminate", () => run.terminate({ timeout })],
        ["delete", () => run.delete({ timeout })],
        ["list", () => client.list({ timeout })],
        ["start", () => client.start(lonely, 1, { id: "other", callTimeout })],
        ["start instead", () => client.start(lonely, 1, { id, onConflict: "terminate", callTimeout })],
        ["signalWithStart", () => client.signalWithStart(lonely, 1, { id, signal, callTimeout })],
      ];
    }

    async function end(id: string, ends: RegExp): Promise<void> {
      const outcomes = calls(id).map(async ([name, call]) => {
        const asked = performance.now();
        const outcome = await call().then(
          () => "answered",
          ({ code }) => code,
        );
        expect(outcome, name).toMatch(ends);
        expect(performance.now() - asked, name).toBeLessThan(LIMIT_MS + GRACE_MS);
      });
      await Promise.all(outcomes);
    }

    it("where no coordinator runs the workflow", async () => {
      await client.start(lonely, 1, { id: "lonely" });
      await end(
        "lonely",
        /^(answered|CALL_TIMEOUT|QUERY_UNANSWERED|RUN_PARKED|RUN_CLOSED|RUN_STILL_GOING|WORKFLOW_TERMINATED)$/,
      );
    });

    it("where the server is away", async () => {
      await client.start(lonely, 1, { id: "away" });
      await server.kill();
      try {
        await end("away", /^(CALL_TIMEOUT|LOG_UNAVAILABLE|QUERY_UNANSWERED)$/);
      } finally {
        await server.restart();
      }
    });
  });
});

describe("the list of runs", () => {
  it("goes on page by page, also past what is started and deleted meanwhile", { timeout: 30_000 }, async () => {
    const crowd = await connect({ nats: server.url, namespace: `crowd-${process.pid}` });
    const ids = Array.from({ length: 250 }, (_, i) => `run-${i}`);
    await Promise.all(ids.map((id) => crowd.start(unknown, undefined, { id })));

    const first = await crowd.list();
    expect(first).toHaveLength(100);
    expect(first.map(({ startedAt }) => startedAt)).toEqual(
      first.map(({ startedAt }) => startedAt).sort((a, b) => b - a),
    );
    const second = await crowd.list({ cursor: first.next! });
    await crowd.start(unknown, undefined, { id: "new" });
    const third = await crowd.list({ cursor: second.next! });
    const all = [...first, ...second, ...third].map(({ id }) => id).filter((id) => id !== "new");
    expect(all.sort()).toEqual([...ids].sort());
    expect(third.next).toBeUndefined();
    // What is on a page is a list like any other.
    expect(await crowd.list({ limit: 1, workflow: "nothing" })).toEqual([]);

    const seen: string[] = [];
    for await (const { id } of crowd.listAll({ workflow: unknown, limit: 40 })) seen.push(id);
    expect(seen.sort()).toEqual([...ids, "new"].sort());
    const exact = await crowd.list({ limit: 251 });
    expect([exact.length, exact.next]).toEqual([251, undefined]);
    await expect(crowd.list({ cursor: "a b" })).rejects.toThrow();
    await crowd.close();
  });
});

describe("a client that is closed", () => {
  it("says so at every call, and to those that wait, with one code", async () => {
    const bus = { nats: server.url, namespace: `client-${process.pid}` };
    const gone = await connect(bus);
    // No coordinator is there to answer a query.
    const quiet = await connect({ ...bus, namespace: `quiet-${process.pid}` });
    const unanswered = await quiet.start(nap, 1);
    const run = await gone.start(nap, 60_000, { id: "outlives" });
    const schedule = gone.schedules.get("nothing");
    const steps = run.progress();
    await steps.next();
    const waits = [
      run.result(),
      unanswered.query("nothing" as never, undefined as never, { timeout: "1m" }),
      steps.next(),
    ].map((wait) => wait.catch((error: unknown) => error));
    // One of them has begun, and the others are to be on their way.
    await run.status();
    await Promise.all([gone.close(), quiet.close()]);
    const calls: Record<string, () => Promise<unknown>> = {
      start: () => gone.start(nap, 1),
      startMany: () => gone.startMany(nap, [{ input: 1 }]),
      list: () => gone.list(),
      listAll: () => gone.listAll().next(),
      result: () => run.result(),
      resultInTime: () => run.result({ timeout: "1s" }),
      status: () => run.status(),
      progress: () => run.progress().next(),
      history: () => run.history(),
      signal: () => run.signal("x" as never, {} as never),
      query: () => run.query("x" as never, undefined as never),
      update: () => run.update("x" as never, undefined as never),
      cancel: () => run.cancel(),
      terminate: () => run.terminate(),
      delete: () => run.delete(),
      get: () => gone.get("outlives").status(),
      "schedules.list": () => gone.schedules.list(),
      "schedules.create": () => gone.schedules.create("x", { every: "1h", workflow: broken, input: undefined }),
      "schedule.describe": () => schedule.describe(),
      "schedule.pause": () => schedule.pause(),
      "schedule.trigger": () => schedule.trigger(),
      "schedule.delete": () => schedule.delete(),
    };
    for (const [name, call] of Object.entries(calls))
      await expect(call(), name).rejects.toMatchObject({ code: "NOT_RUNNING", message: "The client is closed." });
    const codes = (await Promise.all(waits)).map((error) => (error as { code?: string }).code);
    expect(codes).toEqual(["NOT_RUNNING", "NOT_RUNNING", "NOT_RUNNING"]);
    await client.get("outlives").terminate();
  });
});
