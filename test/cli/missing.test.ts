/** What runs wait for and is not stored: as `show` and `doctor` see it, while no auditor repairs it. */
import { connect as connectNats, headers, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, step, workflow } from "@stepstream/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { doctor } from "./doctor/scene.ts";
import { cli } from "./scene.ts";

const int = { input: z.int(), output: z.int() };
const double = step("double", int);
const pair = workflow("pair", int, async (n, w) => (await w.all([w.run(double, n), w.run(double, n)]))[0]);
const sleeper = workflow("sleeper", int, async (n, w) => {
  await w.sleep(n);
  return n;
});
const family = workflow("family", int, (n, w) => w.child(sleeper, n, { id: `${w.runId}-kid` }));

let server: TestServer;
let bus: NatsConnection;
let log: EventLog;
let client: Client;
let coordinator: Coordinator;
const namespace = `missing-${process.pid}`;

beforeAll(async () => {
  server = await startTestServer();
  bus = await connectNats({ servers: server.url });
  log = await connectEventLog({ nats: server.url, namespace, partitions: 2 });
  client = await connect({ log });
  const workflows = [pair, sleeper, family];
  coordinator = await createCoordinator({ nats: server.url, namespace, workflows, settings: { auditMs: 0 } }).start();
});
afterAll(async () => {
  await coordinator?.stop();
  await log?.close();
  await bus?.close();
  await server?.stop();
});

const env = () => ({ NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace });
const waits = async (run: string): Promise<{ slot: number; why: string; missing?: true }[]> =>
  JSON.parse((await cli(`show ${run} --json`, env())).out).waits;
const missingOf = async (run: string) => (await waits(run)).filter(({ missing }) => missing).map(({ slot }) => slot);
const seenBy = async () => (await doctor(server.url, namespace)).all.find(({ check }) => check === "causes")!;
const removeOne = async (subject: string) => {
  const { seq } = (await log.last(subject, { fresh: true }))!;
  const stream = log.subjects.streamName(log.subjects.streamOf(subject));
  await bus.request(`$JS.API.STREAM.MSG.DELETE.${stream}`, JSON.stringify({ seq }), { timeout: 5_000 });
};

describe("what a run waits for", { timeout: 90_000 }, () => {
  it("is there: nothing is said", async () => {
    await client.start(pair, 1, { id: "pair" });
    await client.start(sleeper, 3_600_000, { id: "sleeper" });
    await client.start(sleeper, 15_000, { id: "soon" });
    await client.start(family, 3_600_000, { id: "family" });
    await expect.poll(async () => (await log.list("COMMANDS", ">")).size).toBe(2);
    await expect.poll(async () => (await log.list("TIMERS", ">")).size).toBe(3);
    for (const run of ["pair", "sleeper", "soon", "family"]) expect(await missingOf(run)).toEqual([]);
    expect(await seenBy()).toMatchObject({ level: "ok", seen: "all that 5 live runs wait for is stored" });
  });

  it("is a command that was deleted: show and doctor name it", async () => {
    await removeOne(log.subjects.command("double", "pair", 2));
    expect(await missingOf("pair")).toEqual([2]);
    const { out } = await cli("show pair", env());
    expect(out).toContain("MISSING: the command of slot 2 (step double) is not stored, or will not come");
    expect(await seenBy()).toMatchObject({
      level: "error",
      seen: "1 run of 5 wait for what is not stored, or will not come, such as run pair: the command of slot 2 (step double)",
    });
  });

  it("is a timer that was deleted, or is listed and will never fire", async () => {
    await removeOne(log.subjects.timer("sleeper", 1));
    expect(await missingOf("sleeper")).toEqual([1]);
    const hdrs = headers();
    hdrs.set("Nats-Rollup", "sub");
    await bus.request(log.subjects.timer("soon", 1), "{}", { headers: hdrs, timeout: 5_000 });
    // It should have fired five seconds ago.
    await expect.poll(() => missingOf("soon"), { timeout: 40_000 }).toEqual([1]);
    expect(await seenBy()).toMatchObject({ level: "error", seen: expect.stringMatching(/^3 runs of 5 wait /) });
  });

  it("is a child that is gone", async () => {
    await coordinator.stop();
    const inbox = log.subjects.inbox("family-kid");
    await bus.request(`$JS.API.STREAM.PURGE.${log.subjects.streamName("EVENTS")}`, JSON.stringify({ filter: inbox }), {
      timeout: 5_000,
    });
    expect(await missingOf("family")).toEqual([1]);
  });
});
