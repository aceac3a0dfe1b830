/** Workflow code that changes while runs are under way, on a real server. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { type AnyWorkflow, type Client, connect } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { order, pack, ship } from "./programs/versions/before.ts";
import { order as breaking } from "./programs/versions/breaking.ts";
import { order2, order as patched } from "./programs/versions/patched.ts";

const CLI = new URL("../../packages/cli/src/main.ts", import.meta.url).pathname;
const program = (name: string) => new URL(`programs/versions/${name}.ts`, import.meta.url).pathname;

let server: TestServer;
let bus: { nats: string; namespace: string };
let client: Client;
let worker: Worker;
let coordinator: Coordinator;
let count = 0;
let cache: string;

beforeAll(async () => {
  server = await startTestServer();
  cache = await mkdtemp(join(tmpdir(), "stepstream-cache-"));
});
afterAll(async () => {
  await server?.stop();
  await rm(cache, { recursive: true });
});

beforeEach(async () => {
  bus = { nats: server.url, namespace: `versions-${process.pid}-${++count}` };
  client = await connect(bus);
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ ...bus, logger })
    .handle(pack, async (what) => `packed ${what}`)
    .handle(ship, async (what) => `shipped ${what}`)
    .start();
});

afterEach(async () => {
  await coordinator.stop();
  await worker.stop({ drainMs: 0 });
  await client.close();
});

async function deploy(...workflows: AnyWorkflow[]): Promise<void> {
  await coordinator?.stop();
  coordinator = await createCoordinator({ ...bus, workflows }).start();
}

async function underWay(id: string): Promise<void> {
  const run = await client.start(order, "books", { id });
  const packed = async () =>
    (await run.history()).some((x) => x.kind === "inbox" && x.message.type === "StepCompleted");
  await expect.poll(packed).toBe(true);
}

/** Without the line that says which server and namespace are in use. */
const judged = (err: string) => err.replace(/^using .*\n/, "");

/** The command, as somebody runs it before a deploy. */
async function check(...args: string[]): Promise<{ code: number; out: string }> {
  const env = { ...process.env, NATS_URL: bus.nats, STEPSTREAM_NAMESPACE: bus.namespace, XDG_CACHE_HOME: cache };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [CLI, "replay", ...args], { env });
    return { code: 0, out: stdout + judged(stderr) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout + judged(stderr) };
  }
}

describe("a change of workflow code", () => {
  it("is checked before it is deployed, against what is under way or was exported", async () => {
    await deploy(order);
    await underWay("one");
    await underWay("two");
    await client.get("two").signal("paid", undefined);
    await client.get("two").result();

    const all = ["--all", "--workflows"];
    expect(await check(...all, program("before"))).toEqual({ code: 0, out: "1 fit · 0 would not go on\n" });
    const no = await check(...all, program("breaking"));
    expect(no.code).toBe(1);
    expect(no.out).toMatch(
      /^diverges {2}one {2}order@1\n {2}recorded {2}.*StepScheduled.*\n {2}the code {2}nothing more\n/,
    );
    expect((await check("--since", "1d", ...all, program("patched"))).out).toBe("2 fit · 0 would not go on\n");

    const folder = await mkdtemp(join(tmpdir(), "histories-"));
    const file = join(folder, "two.json");
    await writeFile(file, JSON.stringify({ run: "two", history: await client.get("two").history() }));
    expect((await check("--file", file, "--workflows", program("patched"))).code).toBe(0);
    expect((await check("--file", file, "--workflows", program("breaking"))).code).toBe(1);
    await rm(folder, { recursive: true });
  });

  it("that does not fit parks the run, and it goes on when the right code is back", async () => {
    await deploy(order);
    await underWay("one");
    await deploy(breaking);
    const run = client.handle(order, "one");
    const told = run.signal("paid");
    await expect.poll(async () => (await run.status()).parked?.code).toBe("NON_DETERMINISM");
    await deploy(patched);
    await told;
    expect(await run.result()).toBe("shipped packed books");
  });

  it("is a version of its own, side by side with the first: runs stay with the one they were started with", async () => {
    await deploy(patched, order2);
    const first = await client.start(order, "a");
    const second = await client.start(order2, "b");
    await Promise.all([first.signal("paid"), second.signal("paid")]);
    expect(await first.result()).toBe("shipped packed a");
    expect(await second.result()).toBe("shipped packed b (2)");
    expect([(await first.status()).version, (await second.status()).version]).toEqual([1, 2]);
    const events = (await first.history()).flatMap((x) => (x.kind === "journal" ? x.message.events : []));
    expect(events.map((event) => event.type)).toContain("Patched");
  });
});
