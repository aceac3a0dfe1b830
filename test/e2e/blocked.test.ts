/** A handler that blocks the event loop of its worker is reported with its place and attempt, and not stopped. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createCoordinator } from "@stepstream/coordinator";
import { connect, workflow } from "@stepstream/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { block } from "./programs/blocking-worker.ts";

const WORKER = fileURLToPath(new URL("programs/blocking-worker.ts", import.meta.url));
const blocks = workflow("blocks", { input: z.number(), output: z.number() }, (ms, w) => w.run(block, ms));

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

it("reports while it blocks, and when it is over, and the step completes", async () => {
  const namespace = `blocked-${process.pid}`;
  const bus = { nats: server.url, namespace };
  const coordinator = await createCoordinator({ ...bus, workflows: [blocks] }).start();
  const client = await connect(bus);
  const env = { ...process.env, NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace };
  const child = spawn(process.execPath, [WORKER, "run"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const events: { type: string }[] = [];
  createInterface(child.stdout!).on("line", (line) => void (line.startsWith("{") && events.push(JSON.parse(line))));
  try {
    await expect.poll(() => events.map(({ type }) => type), { timeout: 20_000 }).toContain("ready");
    const run = await client.start(blocks, 4_000, { id: "r1" });
    expect(await run.result({ signal: AbortSignal.timeout(40_000) })).toBe(4_000);
    const of = () => events.filter(({ type }) => type === "blocked");
    await expect.poll(() => of().length, { timeout: 10_000 }).toBe(2);
    const place = { run: "r1", step: "block", slot: 1, attempt: 1 };
    const where = expect.stringMatching(/blocking-worker\.ts:\d+:\d+( \(\w+\))?$/);
    expect(of()).toMatchObject([
      { over: false, where, ...place },
      { over: true, where, ...place },
    ]);
    const at = (type: string) => events.findIndex((event) => event.type === type);
    expect(at("blocked")).toBeLessThan(at("completed"));
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
    await client.close();
    await coordinator.stop();
  }
});
