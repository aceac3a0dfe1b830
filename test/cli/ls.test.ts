/** `ls` and its read model, on a real server. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cli, holding, type Scene, type Surroundings, setScene, sum } from "./scene.ts";

let scene: Scene;
let cache: string;
beforeAll(async () => {
  scene = await setScene();
  cache = await mkdtemp(join(tmpdir(), "stepstream-cache-"));
});
afterAll(async () => {
  await scene?.stop();
  await rm(cache, { recursive: true });
});

const ls = (args = "", surroundings: Surroundings = {}) =>
  scene.run(`ls ${args}`.trim(), { ...surroundings, env: { XDG_CACHE_HOME: cache } });
const json = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const found = async (args = "") =>
  Object.fromEntries(json((await ls(`${args} --json`)).out).map((row) => [row.run, row.status]));

it("follows runs from their start to their end, and forgets the deleted", async () => {
  expect(await ls()).toMatchObject({ code: 0, out: "", err: "0 runs · up to date\n" });
  const held = await scene.client.start(holding, {}, { id: "held" });
  await (await scene.client.start(sum, [1, 2], { id: "good" })).result();
  await (await scene.client.start(sum, [13], { id: "bad" })).result().catch(() => {});
  expect(await found()).toEqual({ held: "running", good: "completed", bad: "failed" });
  expect(await found("--status failed")).toEqual({ bad: "failed" });
  expect(await found("--workflow holding")).toEqual({ held: "running" });
  expect(await found("--until 1d")).toEqual({});

  const { out, err } = await ls("--since 1h --limit 2");
  expect(out.split("\n")[0]).toMatch(/^RUN\s+WORKFLOW\s+STATUS\s+STARTED\s+TOOK/);
  expect(out).toMatch(/^bad +sum@1 +failed +\S.* STEP_FAILED: Step "add" of run bad/m);
  expect(err).toBe("the newest 2 of 3 runs · up to date\n");
  expect((await ls("--count")).out).toMatch(/^running +1\ncompleted +1\nfailed +1\n$/);

  await held.cancel();
  await held.result().catch(() => {});
  await scene.client.get("good").delete();
  expect(await found()).toEqual({ held: "cancelled", bad: "failed" });
  // The id is another run's now.
  await (await scene.client.start(sum, [1], { id: "good" })).result();
  expect(await found()).toEqual({ held: "cancelled", bad: "failed", good: "completed" });
  expect(await found("--rebuild")).toEqual({ held: "cancelled", bad: "failed", good: "completed" });
});

it("says how far behind it is, if it is to look at nothing new", async () => {
  await ls();
  await (await scene.client.start(sum, [1], { id: "later" })).result();
  const { err } = await ls("--stale");
  expect(err).toMatch(/· [1-9]\d* messages behind, as of (just now|\d+ s ago)/);
  expect(await found("--stale")).not.toHaveProperty("later");
  expect(await found()).toHaveProperty("later");
});

it("shows a parked run as parked, as long as it is", async () => {
  const other = await setScene();
  const run = await other.run("start sum@9 --id unknown-version -i []");
  expect(run.code).toBe(0);
  const look = async () => json((await other.run("ls --json", { env: { XDG_CACHE_HOME: cache } })).out)[0];
  await expect.poll(async () => (await look()).status).toBe("parked");
  expect(await look()).toMatchObject({ version: 9, error: { code: "UNKNOWN_WORKFLOW" } });
  await other.client.get("unknown-version").terminate();
  expect((await look()).status).toBe("terminated");
  await other.stop();
});

it("knows a namespace that was made anew from the one before", async () => {
  await (await scene.client.start(sum, [1], { id: "of-old" })).result();
  expect(await found()).toHaveProperty("of-old");
  const nc = await connectNats({ servers: scene.server.url });
  const jsm = await jetstreamManager(nc);
  const { config } = await jsm.streams.info(`${scene.namespace}_EVENTS`);
  const name = "again_EVENTS";
  for (const round of [1, 2]) {
    const log = await connectEventLog({ nats: scene.server.url, namespace: "again" });
    await start(log, `round-${round}`);
    await log.close();
    const { out } = await cli("ls --json", {
      NATS_URL: scene.server.url,
      STEPSTREAM_NAMESPACE: "again",
      XDG_CACHE_HOME: cache,
    });
    expect(json(out).map(({ run }) => run)).toEqual([`round-${round}`]);
    await jsm.streams.delete(name);
  }
  expect(config.name).not.toBe(name);
  await nc.close();
});

it("is quick among thousands of runs, whichever of several looks first", async () => {
  const env = { NATS_URL: scene.server.url, STEPSTREAM_NAMESPACE: "many", XDG_CACHE_HOME: cache };
  const log = await connectEventLog({ nats: scene.server.url, namespace: "many" });
  const count = 5_000;
  await Promise.all(Array.from({ length: count }, (_, i) => start(log, `r-${i}`, i % 2 === 0)));
  const looks = await Promise.all([1, 2, 3].map(() => cli("ls --count", env)));
  for (const { out, code } of looks) expect([code, out]).toEqual([0, "running     2,500\ncompleted   2,500\n"]);
  await log.close();
});

/** A run as a coordinator would write it. */
async function start(log: EventLog, run: string, ended = false): Promise<void> {
  const message = { v: 1, type: "RunStarted", id: run, workflow: "many", version: 1, input: {} };
  const { seq } = await log.append(log.subjects.inboxFrom("client", run), JSON.stringify(message));
  const events = [{ type: "RunCompleted", output: {} }];
  const decision = { v: 1, type: "Decision", upTo: seq, by: "test", events };
  if (ended) await log.append(log.subjects.journal(run), JSON.stringify(decision));
}
