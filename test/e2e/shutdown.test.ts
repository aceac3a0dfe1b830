/** SIGTERM for coordinators and workers that have much to do: they end before the platform kills them, and nothing is lost. */
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { type Client, connect } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { startWire, type Wire } from "../support/wire.ts";
import { Program } from "./outage/programs.ts";
import { task } from "./shutdown/tasks.ts";

const TASKS = fileURLToPath(new URL("shutdown/tasks.ts", import.meta.url));
const FOR_EVER_MS = 600_000;

let server: TestServer;
let env: Record<string, string>;
let client: Client;
let wire: Wire | undefined;
const programs: Program[] = [];

beforeEach(async () => {
  server = await startTestServer();
  env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: `shutdown-${randomUUID().slice(0, 8)}` };
  client = await connect({ nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! });
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.end("SIGKILL")));
  await client?.close();
  await wire?.stop();
  wire = undefined;
  await server?.stop();
});

async function start(service: "coordinator" | "step-worker", args: string[] = [], more: Record<string, string> = {}) {
  const program = new Program(service, { ...env, ...more }, args, TASKS);
  programs.push(program);
  await program.says(/ runs | is ready/);
  return program;
}

/** Sends a signal. @returns Its exit code, and how long that took. */
async function stop(
  program: Program,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<{ code: number | null; ms: number }> {
  const since = performance.now();
  return { code: await program.end(signal), ms: performance.now() - since };
}

describe("a worker in the middle of a long handler", () => {
  it("lets it finish, and ends at once then", async () => {
    await start("coordinator");
    const worker = await start("step-worker");
    const run = await client.start(task, { ms: 3_000, heeds: true });
    await worker.says(/^begun/);
    const { code, ms } = await stop(worker);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000);
    expect(await run.result({ timeout: "5s" })).toBe("attempt 1");
  });

  it.each([
    ["that cleans up when it is asked to stop", true, "attempt 1, continued", 5_000],
    ["that ignores its signal", false, undefined, 7_000],
  ])("ends in the 10 s of docker stop, and another goes on at once: %s", async (_which, heeds, result, afterMs) => {
    await start("coordinator");
    const worker = await start("step-worker", ["--shutdown-timeout", "10s"]);
    const run = await client.start(task, { ms: FOR_EVER_MS, heeds });
    await worker.says(/^begun/);
    const other = await start("step-worker");
    const { code, ms } = await stop(worker);
    expect(code).toBe(0);
    expect(ms).toBeGreaterThanOrEqual(afterMs);
    expect(ms).toBeLessThan(9_000);
    // With no attempt used up.
    expect(await other.says(/^begun/)).toMatchObject({ attempt: 1, deliveredAttempt: 1 });
    if (result) expect(await run.result({ timeout: "5s" })).toBe(result);
    else await run.terminate();
  });

  it("ends in the 30 s of Kubernetes by default, clean-up included", async () => {
    await start("coordinator");
    const workers = await Promise.all([start("step-worker"), start("step-worker")]);
    await client.start(task, { ms: FOR_EVER_MS, heeds: true });
    await Promise.race(workers.map((worker) => worker.says(/^begun/)));
    await client.start(task, { ms: FOR_EVER_MS, heeds: false });
    await client.start(task, { ms: FOR_EVER_MS, heeds: false });
    for (const { code, ms } of await Promise.all(workers.map((worker) => stop(worker)))) {
      expect(code).toBe(0);
      expect(ms).toBeLessThan(29_000);
    }
  }, 60_000);

  it("ends at once on a second SIGTERM, and another takes over", async () => {
    await start("coordinator");
    const worker = await start("step-worker");
    const run = await client.start(task, { ms: 4_000, heeds: true });
    await worker.says(/^begun/);
    const first = stop(worker);
    await worker.says(/^SIGTERM: finishing/);
    const since = performance.now();
    worker.child.kill("SIGTERM");
    expect((await first).code).toBe(143);
    expect(performance.now() - since).toBeLessThan(1_000);
    await start("step-worker");
    expect(await run.result({ timeout: "30s" })).toBe("attempt 1");
  }, 60_000);

  it("ends in its time where nats-server does not answer any more", async () => {
    wire = await startWire(server.url);
    await start("coordinator");
    const worker = await start("step-worker", ["--shutdown-timeout", "5s"], { NATS_URL: wire.url });
    await client.start(task, { ms: FOR_EVER_MS, heeds: true });
    await worker.says(/^begun/);
    wire.mute();
    const { code, ms } = await stop(worker);
    expect(ms).toBeLessThan(5_000);
    expect(code).toBe(1);
    await worker.says(/^not finished after 4.5 s; other processes take over/);
  });
});

describe("a coordinator with runs in progress", () => {
  it("hands them over, and ends at once", async () => {
    const coordinator = await start("coordinator");
    await start("coordinator");
    await start("step-worker");
    const runs = await Promise.all(Array.from({ length: 20 }, () => client.start(task, { ms: 2_000, heeds: true })));
    const { code, ms } = await stop(coordinator);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(3_000);
    for (const run of runs) expect(await run.result({ timeout: "20s" })).toBe("attempt 1");
  });

  it.each(["away", "silent"] as const)("ends in its time where nats-server is %s", async (how) => {
    wire = await startWire(server.url);
    const coordinator = await start("coordinator", ["--shutdown-timeout", "5s"], { NATS_URL: wire.url });
    await start("step-worker");
    await client.start(task, { ms: 1_000, heeds: true });
    if (how === "silent") wire.mute();
    else await server.kill();
    const { ms } = await stop(coordinator);
    expect(ms).toBeLessThan(5_000);
  });
});
