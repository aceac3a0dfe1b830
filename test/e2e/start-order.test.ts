/** Programs and commands that are started before their server. */
import { connect } from "@stepstream/sdk";
import { afterEach, describe, expect, it } from "vitest";
import { cli } from "../cli/scene.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { errand } from "./outage/errands.ts";
import { Program } from "./outage/programs.ts";

let server: TestServer | undefined;
const programs: Program[] = [];
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.end("SIGKILL")));
  await server?.stop();
  server = undefined;
});

function start(service: "coordinator" | "step-worker", env: Record<string, string>, args: string[] = []): Program {
  const program = new Program(service, env, args);
  programs.push(program);
  return program;
}

describe("a program that is started before nats-server", () => {
  it("waits, says so at most once in ten seconds, and works as soon as the server is there", async () => {
    server = await startTestServer();
    const { url } = server;
    await server.kill();
    const env = { NATS_URL: url, STEPSTREAM_NAMESPACE: `early-${process.pid}` };
    const started = [start("coordinator", env), start("step-worker", env)];
    const waiting = /^wait for nats-server: .*connection refused/;
    for (const program of started) {
      await program.says(waiting);
      const { msg } = await program.says(/^wait for nats-server \(\d+ more since the last\): /);
      expect(msg).toContain(new URL(url).host);
      const times = program.lines.filter(({ msg }) => /^wait for/.test(msg)).map(({ time }) => time);
      expect(times).toHaveLength(2);
      expect(times[1] - times[0]).toBeGreaterThanOrEqual(9_900);
    }
    await server.restart();
    const backAt = performance.now();
    await Promise.all(started.map((program) => program.says(/ runs | is ready/)));
    expect(performance.now() - backAt).toBeLessThan(10_000);
    const client = await connect({ nats: url, namespace: env.STEPSTREAM_NAMESPACE });
    expect(await (await client.start(errand, 1)).result()).toBe(6);
    await client.close();
  });

  it.each(["coordinator", "step-worker"] as const)("gives up after the time that it is told: %s", async (service) => {
    const began = performance.now();
    const byFlag = start(service, { NATS_URL: "nats://127.0.0.1:1" }, ["--connect-timeout", "1s"]);
    const byVariable = start(service, { NATS_URL: "nats://127.0.0.1:1", STEPSTREAM_CONNECT_TIMEOUT: "1s" });
    for (const program of [byFlag, byVariable]) {
      expect(await program.ended).toBe(1);
      expect(program.lines.at(-1)).toMatchObject({ level: 60, msg: expect.stringContaining("127.0.0.1:1") });
    }
    expect(performance.now() - began).toBeGreaterThan(1_000);
  });

  it.each(["coordinator", "step-worker"] as const)("is ended by a signal while it waits: %s", async (service) => {
    const program = start(service, { NATS_URL: "nats://127.0.0.1:1" });
    await program.says(/^wait for/);
    expect(await program.end("SIGTERM")).toBe(143);
  });
});

describe("a command", () => {
  it("fails at once without a server, or waits as long as it is told", async () => {
    const env = { NATS_URL: "nats://127.0.0.1:1", STEPSTREAM_NAMESPACE: "early" };
    expect(await cli("ls", env)).toMatchObject({ code: 4, err: expect.not.stringContaining("waiting") });
    expect(await cli("ls --connect-timeout 500ms", env)).toMatchObject({
      code: 4,
      err: expect.stringMatching(/^waiting for nats-server: .*\nerror: .*does not answer/),
    });
    expect(await cli("ls --connect-timeout soon", env)).toMatchObject({ code: 2 });
  });
});
