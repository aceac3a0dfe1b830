/** Durations beyond 2^31 milliseconds and beyond the year 2262, on a real server: nothing fires early, nothing is lost. */

import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, fixed, runGates, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { cli } from "../cli/scene.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";

const any = { input: z.any(), output: z.any() };
const YEARS = "36525d";
const failing = step("failing", {
  ...any,
  retry: { maxAttempts: 3, backoff: fixed("20000d") },
  timeout: { total: YEARS, attempt: "30d" },
});
const quick = step("quick", { ...any, timeout: { attempt: "30d", total: YEARS, queue: "50d" } });
const waits = workflow("waits", { ...any, signals: { go: z.any() } }, async (how: string, w) => {
  if (how === "sleep") await w.sleep(YEARS);
  if (how === "sleep-25d") await w.sleep("25d");
  if (how === "wait") await w.waitFor("go", { timeout: "30000d" });
  if (how === "until") await w.until(() => false, { timeout: YEARS });
  if (how === "scope") await w.scope(() => w.waitFor("go"), { timeout: YEARS });
  if (how === "race") await w.race({ late: () => w.sleep("2000d"), go: () => w.waitFor("go") });
  if (how === "retry") await w.run(failing, 1);
  if (how === "gate") await runGates(w, [{ name: "slow", level: 1, command: "sleep 60", timeout: "40d" }]);
  if (how === "child") await w.child(waits, "sleep", { delay: "1000d", timeout: YEARS });
  return w.run(quick, how);
});
const asks = workflow("asks", any, async (how: string, w) => {
  const long = "87000d";
  const calls: Record<string, () => unknown> = {
    sleep: () => w.sleep(long),
    infinite: () => w.sleep(Number.POSITIVE_INFINITY),
    until: () => w.until(() => false, { timeout: long }),
    scope: () => w.scope(async () => 1, { timeout: long }),
    delay: () => w.child(waits, "x", { delay: Number.MAX_SAFE_INTEGER }),
    timeout: () => w.run(quick, 1, { timeout: { total: long } }),
    backoff: () => w.run(quick, 1, { retry: { backoff: fixed(long) } }),
    gate: () => runGates(w, [{ name: "g", level: 1, command: "true", timeout: long }]),
  };
  try {
    await calls[how]!();
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
});

let server: TestServer;
let log: EventLog;
let client: Client;
let worker: Worker;
let coordinator: Coordinator;
const where = { namespace: `durations-${process.pid}` };
const startCoordinator = () => createCoordinator({ nats: server.url, ...where, workflows: [waits, asks] }).start();

beforeAll(async () => {
  server = await startTestServer();
  log = await connectEventLog({ nats: server.url, ...where, partitions: 4 });
  client = await connect({ log });
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats: server.url, ...where, logger })
    .handle(quick, async (input) => input)
    .handle(failing, async () => {
      throw new Error("not yet");
    })
    .gates()
    .start();
  coordinator = await startCoordinator();
});
afterAll(async () => {
  await worker?.stop({ drainMs: 0 });
  await coordinator?.stop();
  await client?.close();
  await log?.close();
  await server?.stop();
});

describe("what is to happen in decades", { timeout: 60_000 }, () => {
  it("does not happen now: sleeps, waits, scopes, retries, gates, children, delays, time-outs, cleanup", async () => {
    const hows = ["sleep", "sleep-25d", "wait", "until", "scope", "race", "retry", "gate", "child"];
    for (const how of hows) await client.start(waits, how, { id: how, timeout: YEARS });
    await client.start(waits, "none", { id: "delayed", delay: YEARS });
    // A coordinator that takes over arms the timers again.
    await expect.poll(async () => (await log.list("TIMERS", ">")).size).toBeGreaterThanOrEqual(hows.length + 1);
    await coordinator.stop();
    coordinator = await startCoordinator();
    // A timer of the server that is set after them comes before all of them: their ticks have passed.
    const marker = await client.start(waits, "marker", { id: "marker", delay: "4s" });
    expect(await marker.result()).toBe("marker");
    for (const id of [...hows, "delayed"])
      expect([id, (await client.get(id).status()).status]).toEqual([id, "running"]);
    const fired = await Promise.all(
      [...hows, "delayed"].map(async (id) =>
        (await client.get(id).history()).filter(({ message }: any) => message?.type === "TimerFired"),
      ),
    );
    expect(fired.flat()).toEqual([]);
    for (const id of ["sleep", "wait"]) await client.get(id).cancel({ grace: "1s", cleanupDeadline: YEARS });
    await expect(client.get("sleep").result()).rejects.toMatchObject({ code: "WORKFLOW_CANCELLED" });
    for (const id of hows.slice(3)) await client.get(id).terminate();
  });

  it.each(["sleep", "infinite", "until", "scope", "delay", "timeout", "backoff", "gate"])(
    "is refused beyond 100 years, inside the workflow, with what is allowed: %s",
    async (how) => {
      const run = await client.start(asks, how);
      expect(await run.result()).toMatch(/^Invalid .*(Use at most "36525d", which is 100 years|Use at most 31\d+ ms)/);
    },
  );

  it("is refused by the command line too", async () => {
    const env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: where.namespace };
    for (const option of ["--delay", "--timeout"]) {
      const ran = await cli(["start", "waits@1", option, "87000d"], env);
      expect(ran.code).not.toBe(0);
      expect(ran.err).toMatch(/Invalid (delay|timeout) of a run "87000d"\. Use at most "36525d"/);
    }
    const ran = await cli(["query", "marker", "q", "--timeout", "100000d"], env);
    expect(ran.err).toMatch(/"100000d"\. Use at most "36525d"/);
  });
});
