/** nats-server goes away and comes back, under two coordinators and two workers, each a process of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, connect } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../cli/scene.ts";
import { noGuardedServer, startGuardedServer } from "../support/guarded.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { errand, strike } from "./outage/errands.ts";
import { Program } from "./outage/programs.ts";

/** Set to try a long one by hand as well: `STEPSTREAM_SLOW_TESTS=1`. */
const LONG = process.env.STEPSTREAM_SLOW_TESTS ? [60] : [];
const RUNS = 50;
/** After the server is back. The last steps of a run, and its timer, take some seconds even without a fault. */
const REST_MS = 9_000;

let server: TestServer;
const programs: Program[] = [];
let client: Client;
let env: Record<string, string>;
let count = 0;

function start(service: "coordinator" | "step-worker", args: readonly string[] = []): Program {
  const program = new Program(service, env, args);
  programs.push(program);
  return program;
}

beforeEach(async () => {
  server = await startTestServer();
  env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: `outage-${process.pid}-${count++}` };
});
afterEach(async () => {
  await client?.close();
  await Promise.all(programs.splice(0).map((program) => program.end("SIGKILL")));
  await server?.stop();
});

describe("a server that is away", () => {
  it.each([4, 12, ...LONG])(
    "for %i s: all runs end, and the logs stay small",
    async (awayS) => {
      const coordinators = [start("coordinator"), start("coordinator")];
      const workers = [start("step-worker"), start("step-worker")];
      await Promise.all([...coordinators, ...workers].map((program) => program.says(/ runs | is ready/)));
      client = await connect({ nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! });
      const runs = await Promise.all(Array.from({ length: RUNS - 5 }, (_, n) => client.start(errand, n)));
      const struck = await Promise.all(Array.from({ length: 5 }, (_, n) => client.start(strike, n)));
      await sleep(1_500);
      for (const run of struck) await run.cancel({ grace: "2s" });
      await sleep(500);
      const before = programs.map((program) => program.bytes);

      await server.kill();
      await sleep(awayS * 1_000);
      await server.restart();

      const backAt = performance.now();
      const ended = await Promise.allSettled([...runs, ...struck].map((run) => run.result({ timeout: "60s" })));
      const recoveredMs = Math.round(performance.now() - backAt);
      const logged = programs.map((program, i) => program.bytes - before[i]!);
      const lines = programs.map((program) => program.lines.length);
      console.log(
        `away for ${awayS} s: all ended ${recoveredMs} ms after, logged ${logged.join(" + ")} bytes, ${lines.join(" + ")} lines`,
      );
      expect(ended.map(({ status }) => status)).toEqual([
        ...runs.map(() => "fulfilled"),
        ...struck.map(() => "rejected"),
      ]);
      expect(recoveredMs).toBeLessThan(10_000 + REST_MS);
      for (const bytes of logged) expect(bytes).toBeLessThan(100_000 + awayS * 5_000);
    },
    150_000,
  );
});

describe("while the server is away", () => {
  it("a command that watches goes on, a coordinator that is told to stop ends, and the rest is done when it is back", async () => {
    const [coordinator, other] = [start("coordinator"), start("coordinator")];
    const worker = start("step-worker");
    await Promise.all([coordinator, other, worker].map((program) => program.says(/ runs | is ready/)));
    client = await connect({ nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! });
    const runs = await Promise.all(Array.from({ length: 10 }, (_, n) => client.start(errand, n, { id: `r${n}` })));
    const watching = Promise.all([cli("watch r1", env), cli("history r2 --follow", env)]);
    await sleep(1_000);
    await server.kill();
    await coordinator.says(/no connection to nats-server/);
    const toldAt = performance.now();
    await coordinator.end("SIGTERM");
    expect(performance.now() - toldAt).toBeLessThan(8_000);
    await server.restart();
    await Promise.all(runs.map((run) => run.result({ timeout: "30s" })));
    const [watched, history] = await watching;
    expect(watched).toMatchObject({ code: 0, err: "" });
    expect(history).toMatchObject({ code: 0, err: "", out: expect.stringContaining("RunCompleted") });
  });
});

describe.skipIf(noGuardedServer)("an account that allows too few consumers", () => {
  const limited = (consumers: number) => `
    accounts { A { users: [ { user: eva, password: x } ], jetstream { max_consumers: ${consumers}, max_file: 1G, max_streams: 10 } } }`;

  it("is said once in ten seconds, and all partitions are taken once it allows more", async () => {
    const guarded = await startGuardedServer(limited(6));
    try {
      env = { NATS_URL: `nats://eva:x@${guarded.address}`, STEPSTREAM_NAMESPACE: "few" };
      const coordinator = start("coordinator", ["--log-level", "debug"]);
      const first = await coordinator.says(/^take a partition: /);
      const next = await coordinator.says(/^take a partition \(\d+ more since the last\): /);
      expect(first.msg).toContain("maximum consumers limit reached");
      expect(next.time - first.time).toBeGreaterThanOrEqual(9_900);
      const warnings = coordinator.lines.filter(({ level }) => level >= 40);
      expect(warnings.length).toBeLessThanOrEqual(4);

      await guarded.reload(limited(100));
      const raisedAt = performance.now();
      const taken = () => {
        const owned = new Map<number, boolean>();
        for (const line of coordinator.lines) if (line.event === "partition") owned.set(line.partition, line.owned);
        return [...owned.values()].filter(Boolean).length;
      };
      await expect.poll(taken, { timeout: 10_000 }).toBe(16);
      console.log(`partitions taken ${Math.round(performance.now() - raisedAt)} ms after the limit was raised`);
    } finally {
      await guarded.stop();
    }
  });
});
