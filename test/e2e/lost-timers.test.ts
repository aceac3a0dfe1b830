/** Stored timers that are lost are set again: nothing else would wake a run that only waits. */
import { connect as connectNats, headers, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, workflow } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const sleeper = workflow("sleeper", { input: z.number(), output: z.number() }, async (ms, w) => {
  const from = w.now();
  await w.sleep(ms);
  return w.now() - from;
});

let server: TestServer;
let bus: NatsConnection;
let log: EventLog;
let client: Client;
let namespace: string;
let events: CoordinatorEvent[];
const coordinators: Coordinator[] = [];
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
  bus = await connectNats({ servers: server.url });
});
afterAll(async () => {
  await bus?.close();
  await server?.stop();
});
beforeEach(async () => {
  namespace = `lost-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 2 });
  client = await connect({ log });
  events = [];
  await start();
});
afterEach(async () => {
  await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
  await log.close();
});

async function start(): Promise<Coordinator> {
  const settings = { shortTimerMs: 0, idleMs: 500, auditMs: 300 };
  const onEvent = (event: CoordinatorEvent) => void events.push(event);
  const options = { nats: server.url, namespace, workflows: [sleeper], settings, onEvent };
  const coordinator = await createCoordinator(options).start();
  coordinators.push(coordinator);
  return coordinator;
}

const restored = () => events.filter(({ type }) => type === "repaired");
const timers = async () => {
  const found: string[] = [];
  for (let p = 0; p < 2; p++)
    for (const subject of (await log.list("TIMERS", log.subjects.all.timersOfPartition(p))).keys())
      if (log.subjects.parse(subject)) found.push(subject);
  return found;
};

/** Six runs that only wait, three of them long enough to be dropped from memory. */
async function sleepers() {
  const runs = [];
  for (let i = 0; i < 6; i++) runs.push(await client.start(sleeper, i % 2 ? 1_500 : 3_000, { id: `sleeper-${i}` }));
  await expect.poll(async () => (await timers()).length).toBe(6);
  return runs;
}

async function end(runs: Awaited<ReturnType<typeof sleepers>>): Promise<void> {
  for (const [i, run] of runs.entries())
    expect(await run.result({ timeout: "30s" })).toBeGreaterThanOrEqual(i % 2 ? 1_500 : 3_000);
}

/** As another program would publish it. */
async function rollup(subject: string, how: string): Promise<void> {
  const hdrs = headers();
  hdrs.set("Nats-Rollup", how);
  expect((await bus.request(subject, "{}", { headers: hdrs, timeout: 5_000 })).json()).toHaveProperty("seq");
}

describe("timers that are gone", { timeout: 90_000 }, () => {
  it.each<[string, () => Promise<unknown>]>([
    ["a message that replaces all others", () => rollup(`${namespace}.timer.1.x.1`, "all")],
    ["one on the subject of another timer", () => rollup(log.subjects.timer("sleeper-1", 1), "all")],
    ["one that has come due", () => rollup(log.subjects.due("nobody", 1), "all")],
    ["a purge by hand", () => bus.request(`$JS.API.STREAM.PURGE.${namespace}_TIMERS`)],
  ])("by %s are set again", async (_what, lose) => {
    const runs = await sleepers();
    await lose();
    await end(runs);
    // Once for each run.
    expect(restored().length).toBeGreaterThanOrEqual(3);
    expect(restored().length).toBeLessThanOrEqual(6);
  });

  it("while no coordinator is up, are set again by the next one", async () => {
    const runs = await sleepers();
    await coordinators.pop()!.stop();
    await rollup(`${namespace}.timer.1.x.1`, "all");
    await start();
    await end(runs);
  });

  it("once more, are set again once more", async () => {
    const runs = await sleepers();
    for (let seen = 0, i = 0; i < 2; i++) {
      await rollup(`${namespace}.timer.1.x.1`, "all");
      await expect.poll(() => restored().length, { timeout: 10_000 }).toBeGreaterThan(seen);
      await expect.poll(async () => (await timers()).length).toBeGreaterThanOrEqual(3);
      seen = restored().length;
    }
    await end(runs);
  });

  it("are set again only where some were lost", async () => {
    const runs = await sleepers();
    await coordinators.pop()!.stop();
    await start();
    await end(runs);
    expect(restored()).toEqual([]);
  });
});
