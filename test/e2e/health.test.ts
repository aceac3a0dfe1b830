/** What probes are told by the programs: alive, and ready only while they can take work. */
import { randomUUID } from "node:crypto";
import { connect as connectNats } from "@nats-io/transport-node";
import { connect } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { startWire, type Wire } from "../support/wire.ts";
import { strike } from "./outage/errands.ts";
import { Program } from "./outage/programs.ts";

const SERVICES = ["coordinator", "step-worker"] as const;
type Service = (typeof SERVICES)[number];

let server: TestServer;
let env: Record<string, string>;
const programs: Program[] = [];
let wire: Wire | undefined;

beforeEach(async () => {
  server = await startTestServer();
  env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: `health-${randomUUID().slice(0, 8)}` };
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.end("SIGKILL")));
  await wire?.stop();
  wire = undefined;
  await server?.stop();
});

/** A program with its health on a port that is free. */
async function start(service: Service, args = ["--health-port", "0"], more: Record<string, string> = {}) {
  const program = new Program(service, { ...env, ...more }, args);
  programs.push(program);
  const at = new URL((await program.says(/health at /)).at);
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${at.port}${path}`, { signal: AbortSignal.timeout(2_000) });
    return { status: response.status, body: await response.text() };
  };
  const until = (status: number, why: RegExp | string = "") =>
    vi.waitFor(async () => expect(await ask("/readyz")).toEqual({ status, body: expect.stringMatching(why) }), {
      timeout: 15_000,
      interval: 50,
    });
  return { program, ask, until };
}

describe.each(SERVICES)("%s", (service) => {
  it("is alive and not ready while it waits for nats-server, then ready, and not ready during an outage", async () => {
    await server.kill();
    const { program, ask, until } = await start(service);
    await program.says(/^wait for/);
    expect(await ask("/readyz")).toEqual({ status: 503, body: expect.stringContaining("starting") });
    expect((await ask("/healthz")).status).toBe(200);
    await server.restart();
    await until(200);

    await server.kill();
    await until(503, /no connection to nats-server/);
    expect((await ask("/healthz")).status).toBe(200);
    await server.restart();
    await until(200);
  });

  it("is not ready while nats-server is silent, though the connection stands", async () => {
    wire = await startWire(server.url);
    const { until } = await start(service, undefined, { NATS_URL: wire.url });
    await until(200);
    wire.mute();
    const mutedAt = performance.now();
    await until(503, /presence|cannot be taken now/);
    expect(performance.now() - mutedAt).toBeLessThan(5_000);
    wire.unmute();
    await until(200);
  });

  it("serves metrics and health on one port", async () => {
    const { ask, until } = await start(service, ["--metrics-port", "0"]);
    await until(200);
    expect(await ask("/metrics")).toEqual({ status: 200, body: expect.stringContaining("# TYPE target_info") });
    expect((await ask("/healthz")).status).toBe(200);
    const alone = await start(service);
    expect((await alone.ask("/metrics")).status).toBe(404);
  });

  it("ends with one line if its port is taken, or is not a port: exit code 1 or 2", async () => {
    const { program } = await start(service);
    const { port } = new URL((await program.says(/health at /)).at);
    for (const option of ["--health-port", "--metrics-port"]) {
      const second = new Program(service, env, [option, port]);
      programs.push(second);
      expect(await second.ended).toBe(1);
      expect(second.text).toMatch(new RegExp(`^${option} ${port}: cannot listen .*EADDRINUSE.*\\n$`));
      const third = new Program(service, env, [option, "http"]);
      programs.push(third);
      expect(await third.ended).toBe(2);
    }
  });

  it("is not ready while the consumer it takes from is gone", async () => {
    const { until } = await start(service);
    await until(200);
    const nc = await connectNats({ servers: server.url });
    const stream = `${env.STEPSTREAM_NAMESPACE}_${service === "coordinator" ? "EVENTS" : "COMMANDS"}`;
    await nc.request(`$JS.API.STREAM.DELETE.${stream}`, "", { timeout: 5_000 });
    await until(503, /cannot be taken now/);
    await nc.close();
  });
});

it("a worker is alive and not ready while it finishes what is under way", async () => {
  const coordinator = await start("coordinator");
  const worker = await start("step-worker", [
    "--health-port",
    "0",
    "--shutdown-timeout",
    "10s",
    "--log-level",
    "debug",
  ]);
  await Promise.all([coordinator.until(200), worker.until(200)]);
  const client = await connect({ nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! });
  await client.start(strike, 1);
  await worker.program.says(/attempt 1 of step "stubborn" begins/);
  worker.program.child.kill("SIGTERM");
  await worker.until(503, /shutting down/);
  expect((await worker.ask("/healthz")).status).toBe(200);
  await client.close();
});
