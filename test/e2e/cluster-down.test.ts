/** Three servers that are all killed at once, and come back, while runs are in progress. */
import { setTimeout as sleep } from "node:timers/promises";
import { createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { connect, fixed, step, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Cluster, startCluster } from "../support/cluster.ts";

const RUNS = 60;
const int = { input: z.int(), output: z.int() };
const add = step("add", { ...int, retry: { maxAttempts: 3, backoff: fixed(500) }, concurrency: 100 });
const four = workflow("four", int, async (n, w) => {
  let value = n;
  for (let i = 0; i < 2; i++) value = await w.run(add, value);
  await w.sleep("5s");
  for (let i = 0; i < 2; i++) value = await w.run(add, value);
  return value;
});

let cluster: Cluster | undefined;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  cluster = await startCluster();
}, 60_000);
afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await cluster?.stop();
});

describe("a cluster all of whose servers are killed", () => {
  it("loses no run that was acknowledged, and those in progress end once it is back", async ({ skip }) => {
    if (!cluster) skip();
    const nats = [...cluster!.urls];
    const namespace = `down-${process.pid}`;
    await (await connectEventLog({ nats, namespace, partitions: 4, replicas: 3 })).close();
    for (let i = 0; i < 2; i++) {
      const coordinator = await createCoordinator({ nats, namespace, workflows: [four] }).start();
      ends.push(() => coordinator.stop());
    }
    const logger = { info() {}, warn() {}, error() {} };
    const worker = createWorker({ nats, namespace, logger });
    worker.handle(add, async (n) => {
      await sleep(50);
      return n + 1;
    });
    await worker.start();
    ends.push(() => worker.stop({ drainMs: 0 }));
    const client = await connect({ nats, namespace });
    ends.push(() => client.close());

    const runs = await Promise.all(Array.from({ length: RUNS }, (_, n) => client.start(four, n, { id: `r-${n}` })));
    // Some wait for their timer, others for a step.
    await expect
      .poll(
        async () => (await runs[0]!.history()).some((x) => x.kind === "inbox" && x.message.type === "StepCompleted"),
        {
          timeout: 20_000,
        },
      )
      .toBe(true);
    await Promise.all([0, 1, 2].map((index) => cluster!.kill(index)));
    await sleep(1_000);
    await Promise.all([0, 1, 2].map((index) => cluster!.restart(index)));
    const backAt = performance.now();
    const results = await Promise.all(runs.map((run) => run.result({ timeout: "60s" })));
    const ms = Math.round(performance.now() - backAt);
    console.log(`all ${RUNS} runs ended ${ms} ms after the servers had caught up`);
    expect(results).toEqual(runs.map((_, n) => n + 4));
    // A sleep of 5 s is among it.
    expect(ms).toBeLessThan(25_000);
  }, 120_000);
});
