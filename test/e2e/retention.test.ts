/** Retention as it is used: chosen at `namespace create`, kept to by coordinator programs, the lists of runs following. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCoordinator } from "@stepstream/coordinator";
import { type Client, connect, workflow } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { cli } from "../cli/scene.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { Program } from "./outage/programs.ts";

const QUICK = fileURLToPath(new URL("retention/quick.ts", import.meta.url));
const { quick } = (await import(QUICK)) as typeof import("./retention/quick.ts");
const waiting = workflow(
  "waiting",
  { input: z.object({}), output: z.void(), signals: { go: z.void() } },
  async (_, w) => {
    await w.waitFor("go");
  },
);
const mother = workflow("mother", { input: z.object({}), output: z.number() }, async (_, w) => {
  const kids = await w.all([1, 2, 3].map((n) => w.child(quick, n, { id: `${w.runId}-${n}` })));
  return kids.length;
});

let server: TestServer;
let client: Client;
let env: Record<string, string>;
let folder: string;
const stop: (() => unknown)[] = [];

beforeEach(async () => {
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), "stepstream-retention-"));
  env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: `keep-${randomUUID().slice(0, 8)}`, XDG_CACHE_HOME: folder };
});
afterEach(async () => {
  await client?.close();
  for (const one of stop.splice(0)) await one();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Makes the namespace, and connects to it. */
async function make(...args: string[]): Promise<void> {
  expect(await cli(["namespace", "create", ...args], env)).toMatchObject({ code: 0 });
  client = await connect({ nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! });
}

async function coordinator(retentionMs = 50) {
  const settings = { retentionMs, removalsPerSecond: 10_000 };
  const bus = { nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! };
  const one = await createCoordinator({ ...bus, settings, workflows: [quick, waiting, mother] }).start();
  stop.push(() => one.stop());
  return one;
}

async function listed(): Promise<string[]> {
  const { out } = await cli("ls --json --limit 1000", env);
  return out
    .split("\n")
    .flatMap((line) => (line ? [JSON.parse(line).run as string] : []))
    .sort();
}

async function stored(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of client.listAll()) ids.push(id);
  return ids.sort();
}

describe("ended runs", () => {
  it("are kept by default", async () => {
    await make();
    await coordinator();
    await (await client.start(quick, 1, { id: "a" })).result();
    // So long that a retention would have been noticed several times.
    await (await client.start(quick, 1, { id: "b", delay: "500ms" })).result();
    expect(await stored()).toEqual(["a", "b"]);
  });

  it("are removed by age and count, for each workflow and outcome, and both lists follow", async () => {
    await make("--retain", "quick/completed=2", "--retain", "quick/failed=1d", "--retain", "mother=0s");
    await coordinator();
    await coordinator();
    await client.start(waiting, {}, { id: "waiting" });
    for (let n = 1; n <= 5; n++) await (await client.start(quick, n, { id: `good-${n}` })).result();
    for (let n = 1; n <= 3; n++) await (await client.start(quick, -n, { id: `bad-${n}` })).result().catch(() => {});
    const left = ["bad-1", "bad-2", "bad-3", "good-4", "good-5", "waiting"];
    await expect.poll(stored, { timeout: 10_000 }).toEqual(left);
    expect(await listed()).toEqual(left);

    // Children go by their own rule, and their parent gets all of their ends.
    expect(await (await client.start(mother, {}, { id: "mum" })).result()).toBe(3);
    await expect
      .poll(stored, { timeout: 10_000 })
      .toEqual(["bad-1", "bad-2", "bad-3", expect.stringMatching(/^mum-/), expect.stringMatching(/^mum-/), "waiting"]);
    // The id is free.
    expect(await (await client.start(quick, 7, { id: "good-1" })).result()).toBe(7);
    expect((await client.get("waiting").status()).status).toBe("running");
    const kept = ["bad-1", "bad-2", "bad-3", "good-1", expect.stringMatching(/^mum-/), "waiting"];
    await expect.poll(stored, { timeout: 10_000 }).toEqual(kept);
    expect(await listed()).toEqual(kept);
  });

  it("are removed by another coordinator when the one that did it is gone", async () => {
    await make("--retain", "0s");
    const all = [await coordinator(), await coordinator()];
    const keeper = all.find((one) => one.partitions.includes(0))!;
    await keeper.stop();
    for (let n = 1; n <= 5; n++) await (await client.start(quick, n)).result();
    await expect.poll(stored, { timeout: 10_000 }).toEqual([]);
  });

  it("are removed by what is chosen later, and kept again when it is taken away", async () => {
    await make();
    await coordinator();
    for (let n = 1; n <= 3; n++) await (await client.start(quick, n, { id: `r-${n}` })).result();
    expect(await cli("namespace update --retain 1", env)).toMatchObject({ code: 0 });
    await expect.poll(stored, { timeout: 10_000 }).toEqual(["r-3"]);
    expect(await cli("namespace update --retain none", env)).toMatchObject({ code: 0 });
    // What has looked before the change may still remove.
    await (await client.start(quick, 1, { id: "between", delay: "300ms" })).result();
    for (let n = 4; n <= 6; n++) await (await client.start(quick, n, { id: `r-${n}` })).result();
    await (await client.start(quick, 1, { id: "later", delay: "300ms" })).result();
    expect(await stored()).toEqual(expect.arrayContaining(["later", "r-4", "r-5", "r-6"]));
  });

  it("are removed by a coordinator program once they are in its archive, from which they can be replayed", async () => {
    await make("--retain", "0s", "--archive");
    const archive = join(folder, "archive");
    const without = new Program("coordinator", env, [], QUICK);
    stop.push(() => without.end("SIGKILL"));
    await without.says(/ runs /);
    await (await client.start(quick, 5, { id: "kept" })).result();
    expect((await without.says(/this coordinator has none/)).msg).toContain("--archive <folder>");
    expect(await stored()).toEqual(["kept"]);
    expect(await without.end()).toBe(0);

    const program = new Program("coordinator", env, ["--archive", archive], QUICK);
    stop.push(() => program.end("SIGKILL"));
    await expect.poll(stored, { timeout: 15_000 }).toEqual([]);
    await program.says(/^removed 1 ended runs, which are in the archive/);
    const [file] = await readdir(archive);
    const [line] = (await readFile(join(archive, file!), "utf8")).split("\n");
    expect(JSON.parse(line!)).toMatchObject({ run: "kept", workflow: "quick@1", outcome: "completed" });
    const one = join(folder, "kept.json");
    await writeFile(one, line!);
    expect(await cli(["replay", "--file", one, "--workflows", QUICK], env)).toMatchObject({ code: 0 });
  });
});
