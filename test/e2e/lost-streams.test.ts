/** Streams and consumers that vanish under two coordinators and a worker, each a process of its own. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as dial, type NatsConnection } from "@nats-io/transport-node";
import { type Client, connect, type RunHandle } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../cli/scene.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";
import { errand, nap, stroll } from "./outage/errands.ts";
import { Program } from "./outage/programs.ts";

const NS = "lost";
const HEALED_MS = 10_000;

let server: GuardedServer;
let nc: NatsConnection;
let client: Client;
let env: Record<string, string>;
let coordinators: Program[];
const programs: Program[] = [];

async function start(service: "coordinator" | "step-worker"): Promise<Program> {
  const program = new Program(service, env);
  programs.push(program);
  await program.says(/ runs | is ready/);
  return program;
}
const jsm = () => jetstreamManager(nc, { checkAPI: false });
const remove = async (stream: string) => (await jsm()).streams.delete(`${NS}_${stream}`);

describe.skipIf(noGuardedServer)("under programs that run,", () => {
  beforeEach(async () => {
    server = await startGuardedServer("");
    env = { NATS_URL: `nats://${server.address}`, STEPSTREAM_NAMESPACE: NS };
    coordinators = await Promise.all([start("coordinator"), start("coordinator")]);
    client = await connect({ nats: server.address, namespace: NS });
    nc = await dial({ servers: server.address, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  });
  afterEach(async () => {
    await client?.close();
    await nc?.close();
    await Promise.all(programs.splice(0).map((program) => program.end("SIGKILL")));
    await server?.stop();
  });

  /** All that waits for a run that is gone. */
  function waits(run: RunHandle<number>): [string, Promise<unknown>][] {
    const other = client.get("r1") as RunHandle<any, any, any, any>;
    return [
      ["result", run.result()],
      ["result of another handle", other.result()],
      [
        "progress",
        (async () => {
          for await (const _ of run.progress());
        })(),
      ],
    ];
  }

  it.each<[string, () => Promise<unknown>]>([
    ["a server that returns with an empty disk", () => server.returnEmpty()],
    ["EVENTS, deleted by hand,", () => remove("EVENTS")],
    [
      "all streams, deleted by hand,",
      async () => {
        for (const stream of ["COMMANDS", "EVENTS", "TIMERS", "DEAD", "BLOBS"]) await remove(stream);
      },
    ],
  ])(
    "%s ends all that waits for a run that is gone, and new runs end",
    async (_what, lose) => {
      await start("step-worker");
      const run = await client.start(nap, 1, { id: "r1" });
      const errands = await Promise.all(Array.from({ length: 20 }, (_, n) => client.start(errand, n)));
      const waiting = waits(run);
      const results = errands.map((one) => one.result());
      for (const one of [...waiting.map(([, wait]) => wait), ...results]) one.catch(() => {});
      const watched = Promise.all([cli("watch r1", env), cli("history r1 --follow", env), cli("result r1", env)]);
      // Until the watchers have begun.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const before = programs.map((program) => ({ lines: program.lines.length, bytes: program.bytes }));
      await lose();
      const lostAt = performance.now();

      await client.start(stroll, 1, { id: "after" }).then((after) => after.result({ timeout: "30s" }));
      const healedMs = Math.round(performance.now() - lostAt);
      for (const [what, wait] of waiting)
        expect([what, await wait.catch((error) => error.code)]).toEqual([what, "RUN_NOT_FOUND"]);
      for (const result of await Promise.allSettled(results))
        expect(result).toMatchObject({ status: "rejected", reason: { code: "RUN_NOT_FOUND" } });
      const endedMs = Math.round(performance.now() - lostAt);
      for (const { code, err } of await watched) {
        expect(code).toBe(3);
        expect(err).toContain("There is no run r1");
      }
      await expect(run.cancel()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
      console.log(`a new run ended after ${healedMs} ms, all that waited for lost ones after ${endedMs} ms`);
      expect(healedMs).toBeLessThan(HEALED_MS);
      expect(endedMs).toBeLessThan(HEALED_MS + 5_000);
      for (const [i, program] of programs.entries()) {
        expect(program.child.exitCode).toBeNull();
        expect(program.lines.length - before[i]!.lines).toBeLessThan(60);
        expect(program.bytes - before[i]!.bytes).toBeLessThan(60_000);
      }
      for (const coordinator of coordinators) {
        const lost = () => coordinator.lines.filter(({ event }) => event === "lost").flatMap(({ streams }) => streams);
        await expect.poll(lost, { timeout: HEALED_MS }).toContain("EVENTS");
        expect(coordinator.lines.filter(({ event }) => event === "lost").length).toBeLessThan(6);
      }
    },
    60_000,
  );

  it.each(["COMMANDS", "TIMERS", "DEAD", "BLOBS"])(
    "%s, deleted by hand with work outstanding, loses none of it",
    async (stream) => {
      // No worker: all commands are outstanding.
      const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => client.start(errand, n)));
      await expect
        .poll(async () => (await jsm()).streams.info(`${NS}_COMMANDS`).then(({ state }) => state.messages))
        .toBe(20);
      await remove(stream);
      const lostAt = performance.now();
      if (stream === "COMMANDS")
        await expect
          .poll(
            async () =>
              (await jsm()).streams.info(`${NS}_COMMANDS`).then(
                ({ state }) => state.messages,
                () => 0,
              ),
            { timeout: HEALED_MS },
          )
          .toBe(20);
      console.log(`${stream}: outstanding again after ${Math.round(performance.now() - lostAt)} ms`);
      await start("step-worker");
      const ended = Promise.all(runs.map((run) => run.result({ timeout: "45s" })));
      if (stream === "TIMERS") {
        // Each run stores a timer of 4 s in the middle.
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        await remove(stream);
      }
      expect(await ended).toHaveLength(20);
    },
    90_000,
  );

  it("consumers, deleted by hand, are made again, and nothing is lost", async () => {
    await start("step-worker");
    const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => client.start(errand, n)));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const manager = await jsm();
    for (const stream of ["EVENTS", "COMMANDS", "TIMERS"])
      for await (const { name } of manager.consumers.list(`${NS}_${stream}`))
        await manager.consumers.delete(`${NS}_${stream}`, name);
    expect(await Promise.all(runs.map((run) => run.result({ timeout: "45s" })))).toHaveLength(20);
  }, 60_000);
});
