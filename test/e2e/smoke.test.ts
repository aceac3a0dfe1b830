/** The shortest way through everything, on a real server: also what runs in a container in CI. */

import { createCoordinator } from "@stepstream/coordinator";
import { connect, exponential, step, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

it("runs a workflow with a retry, a timer and a fan-out to its end", async () => {
  const flaky = step("flaky", {
    input: z.object({ n: z.int() }),
    output: z.object({ n: z.int(), attempt: z.int() }),
    retry: { maxAttempts: 3, backoff: exponential({ initial: "20ms", max: "100ms" }) },
  });
  const flow = workflow("flow", { input: z.int(), output: z.array(z.int()) }, async (n, w) => {
    await w.sleep(50);
    const all = await w.map(
      Array.from({ length: n }, (_, i) => i),
      (i) => w.run(flaky, { n: i }),
    );
    w.progress({ step: 1, total: 1, name: "done" });
    return all.map((one) => one.attempt);
  });
  const bus = { nats: server.url, namespace: `smoke-${process.pid}` };
  const coordinator = await createCoordinator({ ...bus, workflows: [flow] }).start();
  const logger = { info() {}, warn() {}, error() {} };
  const worker = await createWorker({ ...bus, logger })
    .handle(flaky, async ({ n }, { attempt }) => {
      if (attempt <= n % 3) throw new Error("not yet");
      return { n, attempt };
    })
    .start();
  const client = await connect(bus);
  const run = await client.start(flow, 6, { id: "one" });
  expect(await run.result()).toEqual([1, 2, 3, 1, 2, 3]);
  const progress = [];
  for await (const p of run.progress()) progress.push(p.name);
  expect(progress).toContain("done");
  await client.close();
  await worker.stop();
  await coordinator.stop();
});
