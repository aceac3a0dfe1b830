/** Three servers: leaders that step down, and one that is killed, under clients, coordinators and workers. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect as dial, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { Appended } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Cluster, startCluster } from "../support/cluster.ts";

const numbers = { input: z.number(), output: z.number() };
const counter = workflow(
  "counter",
  {
    input: z.void(),
    output: z.number(),
    signals: { add: z.number() },
    updates: { add: { input: z.number(), output: z.number() } },
  },
  async (_input, w) => {
    let sum = 0;
    w.onUpdate("add", (n) => {
      sum += n;
      return sum;
    });
    for (;;) {
      const n = await w.waitFor("add");
      if (n === 0) return sum;
      sum += n;
    }
  },
);
/** As many at a time as there are runs: nothing waits but for the cluster. */
const slow = step("slow", { ...numbers, retry: { maxAttempts: 3 }, concurrency: 200 });
const three = workflow("three", numbers, async (n, w) => {
  let value = n;
  for (let i = 0; i < 3; i++) value = await w.run(slow, value);
  return value;
});

const STREAMS = ["EVENTS", "COMMANDS", "TIMERS"] as const;

let cluster: Cluster | undefined;
let admin: NatsConnection;
let client: Client;
let worker: Worker;
/** When a run went on: its starts and ends of handlers, where a test wants them. */
const signsOf = new Map<string, number[]>();
const coordinators: Coordinator[] = [];
const events: string[] = [];
const namespace = `elections-${process.pid}`;

beforeAll(async () => {
  cluster = await startCluster();
  if (!cluster) return;
  const nats = [...cluster.urls];
  admin = await dial({ servers: nats, maxReconnectAttempts: -1 });
  await (await connectEventLog({ nats, namespace, partitions: 4, replicas: 3 })).close();
  for (let i = 0; i < 2; i++)
    coordinators.push(
      await createCoordinator({
        nats,
        namespace,
        workflows: [counter, three],
        onEvent: (event) => events.push(event.type),
      }).start(),
    );
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats, namespace, logger })
    .handle(slow, async (n, { run }) => {
      signsOf.get(run)?.push(performance.now());
      await sleep(200);
      signsOf.get(run)?.push(performance.now());
      return n + 1;
    })
    .start();
  client = await connect({ nats, namespace });
});
afterAll(async () => {
  // Whichever server answers, it describes the same streams.
  expect(events.filter((type) => type === "lost")).toEqual([]);
  await client?.close();
  await worker?.stop({ drainMs: 0 });
  await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
  await admin?.close();
  await cluster?.stop();
});

/** The index of the server that leads the stream, once one does. */
async function leaderOf(kind: string): Promise<number> {
  for (;;) {
    const info = await admin
      .request(`$JS.API.STREAM.INFO.${namespace}_${kind}`, "", { timeout: 1_000 })
      .then((msg) => msg.json<{ cluster?: { leader?: string } }>())
      .catch(() => undefined);
    const leader = info?.cluster?.leader;
    if (leader) return Number(leader.slice(1));
    await sleep(100);
  }
}

describe("a cluster of three", () => {
  it("whose leaders step down ten times in 20 s fails no call, and loses none", async (test) => {
    if (!cluster) return test.skip();
    let over = false;
    const stepDown = async () => {
      for (let round = 0; round < 10; round++) {
        for (const kind of STREAMS)
          await admin
            .request(`$JS.API.STREAM.LEADER.STEPDOWN.${namespace}_${kind}`, "", { timeout: 1_000 })
            .catch(() => {});
        await sleep(2_000);
      }
      over = true;
    };
    let calls = 0;
    let longestMs = 0;
    const timed = async <T>(call: Promise<T>): Promise<T> => {
      const calledAt = performance.now();
      const value = await call;
      calls++;
      longestMs = Math.max(longestMs, performance.now() - calledAt);
      return value;
    };
    const one = async (i: number) => {
      const run = await timed(client.start(counter, undefined, { id: `counter-${i}` }));
      let sum = 0;
      for (let n = 1; !over; n++, sum += 3) {
        await timed(run.signal("add", 1));
        await timed(run.update("add", 2));
        if (n % 10 === 0) expect((await timed(run.status())).status).toBe("running");
        await sleep(20);
      }
      await timed(run.signal("add", 0));
      expect(await run.result({ timeout: "20s" })).toBe(sum);
    };
    const starter = async () => {
      for (let i = 0; !over; i++, await sleep(250)) {
        const run = await timed(client.start(three, i, { id: `three-${i}` }));
        expect(await run.result({ timeout: "20s" })).toBe(i + 3);
      }
    };
    await Promise.all([stepDown(), starter(), ...Array.from({ length: 6 }, (_, i) => one(i))]);
    console.log(`${calls} calls, the longest ${Math.round(longestMs)} ms`);
    expect(calls).toBeGreaterThan(200);
    expect(longestMs).toBeLessThan(10_000);
  });

  it("to which 300 messages are sent twice at the same time stores each once, and says so to both senders", async (test) => {
    if (!cluster) return test.skip();
    const nats = [...cluster.urls];
    const logs = await Promise.all([1, 2].map(() => connectEventLog({ nats, namespace, create: false })));
    const ids = Array.from({ length: 300 }, (_, i) => `twice-${i}`);
    const both = await Promise.all(
      ids.map((id) => Promise.all(logs.map((log) => log.append(log.subjects.attempts(id, 1), "{}", { id })))),
    );
    for (const [a, b] of both as [Appended, Appended][])
      expect([a.seq, a.duplicate !== b.duplicate]).toEqual([b.seq, true]);
    await Promise.all(logs.map((log) => log.close()));
  });

  it("whose leaders of COMMANDS step down leaves 200 commands that have waited to who took them", async (test) => {
    if (!cluster) return test.skip();
    const nats = [...cluster.urls];
    const patient = step("patient", { ...numbers, heartbeat: "3s", concurrency: 100 });
    const log = await connectEventLog({ nats, namespace, create: false });
    const runs = Array.from({ length: 200 }, (_, i) => `waited-${i}`);
    await Promise.all(
      runs.map((run) => {
        const { retry, timeout, heartbeatMs } = patient;
        const command = {
          ...{ v: 1, type: "RunStep", run, workflow: "w", slot: 1, step: "patient", input: 1, attempt: 1, after: 0 },
          ...{ idempotencyKey: `${run}/1`, retry, timeout, heartbeatMs, scheduledAt: Date.now() },
        };
        return log.append(log.subjects.command("patient", run, 1), JSON.stringify(command), { expectLast: 0 });
      }),
    );
    // Longer than the ack wait, by which a new leader measures them from when they were stored.
    await sleep(3_500);
    const starts: string[] = [];
    const logger = { info() {}, warn() {}, error() {} };
    const workers = await Promise.all(
      [1, 2, 3].map(() =>
        createWorker({ nats, namespace, logger })
          .handle(patient, async (n, ctx) => {
            starts.push(ctx.run);
            for (let i = 0; i < 10; i++) {
              ctx.heartbeat();
              await sleep(400);
            }
            return n;
          })
          .start(),
      ),
    );
    await expect.poll(() => starts.length).toBe(200);
    await sleep(100);
    for (const what of ["STREAM", "CONSUMER"] as const)
      await admin.request(
        `$JS.API.${what}.LEADER.STEPDOWN.${namespace}_COMMANDS${what === "STREAM" ? "" : ".step-patient"}`,
        "",
        { timeout: 1_000 },
      );
    const commands = `${namespace}.command.patient.>`;
    await expect.poll(async () => (await log.list("COMMANDS", commands)).size, { timeout: 20_000 }).toBe(0);
    await Promise.all(workers.map((one) => one.stop()));
    await log.close();
    expect(starts).toHaveLength(200);
  });

  it.for(["COMMANDS", "EVENTS"])("that loses the leader of %s for good stalls no run for 10 s", async (kind, test) => {
    if (!cluster) return test.skip();
    const leader = await leaderOf(kind);
    const ids = Array.from({ length: 200 }, (_, i) => `${kind}-${i}`);
    for (const id of ids) signsOf.set(id, []);
    const runs = await Promise.all(ids.map((id, i) => client.start(three, i, { id })));
    const results = runs.map(async (run) => {
      const result = await run.result({ timeout: "40s" });
      signsOf.get(run.id)!.push(performance.now());
      return result;
    });
    // All are under way, and none has ended.
    await expect.poll(() => ids.every((id) => signsOf.get(id)!.length > 0)).toBe(true);
    const killedAt = performance.now();
    await cluster.kill(leader);
    expect(await Promise.all(results)).toEqual(runs.map((_, i) => i + 3));
    const lastMs = Math.max(...[...signsOf.values()].flat()) - killedAt;
    const stallsMs = ids.map((id) => longestGap(signsOf.get(id)!));
    signsOf.clear();
    console.log(
      `${kind}: the last run ended ${Math.round(lastMs)} ms after the kill, the longest stall took ${Math.round(Math.max(...stallsMs))} ms`,
    );
    expect(Math.max(...stallsMs)).toBeLessThan(10_000);
    await cluster.restart(leader);
  });
});

function longestGap(times: readonly number[]): number {
  return Math.max(...times.slice(1).map((at, i) => at - times[i]!));
}
