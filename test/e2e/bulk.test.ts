/** What is done to many runs at once, by the client and the command line, on a real server with programs of their own. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BulkOutcome, type Client, connect, RunNotRetriedError, RunStillGoingError } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../cli/scene.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { child, ends, fails, waits } from "./bulk/many.ts";
import { Program } from "./outage/programs.ts";

const MANY = fileURLToPath(new URL("bulk/many.ts", import.meta.url));

let server: TestServer;
let client: Client;
let env: Record<string, string>;
let folder: string;
let coordinator: Program;

beforeAll(async () => {
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), "stepstream-bulk-"));
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: `bulk-${randomUUID().slice(0, 8)}`, XDG_CACHE_HOME: folder };
  coordinator = new Program("coordinator", env, ["--log-level", "warn"], MANY);
  client = await connect({ nats: server.url, namespace: env.STEPSTREAM_NAMESPACE! });
});
afterEach(async () => {
  await client?.close();
  await coordinator?.end("SIGKILL");
});

const count = (n: number, prefix = "r") => Array.from({ length: n }, (_, i) => `${prefix}-${i}`);
const startAll = (ids: string[], n = 0) =>
  client.startMany(
    waits,
    ids.map((id) => ({ id, input: n })),
  );
/** Runs that have failed. */
async function startFailing(n: number): Promise<void> {
  const bad = await client.startMany(
    fails,
    count(n, "bad").map((id) => ({ id, input: 0 })),
  );
  await Promise.all(
    bad.map(({ id }) =>
      client
        .get(id)
        .result()
        .catch(() => {}),
    ),
  );
}

const json = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

async function states(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { id, status } of client.listAll({ limit: 1_000 })) found[id] = status;
  return found;
}

describe("a client", () => {
  it("cancels, terminates, retries and deletes several runs by their ids, and says what became of each", async () => {
    const ids = count(6);
    await startAll(ids);
    const outcomes: BulkOutcome[] = [];
    const onOutcome = (one: BulkOutcome) => void outcomes.push(one);
    expect(await client.cancelMany([...ids.slice(0, 3), "nobody"], { reason: "enough", onOutcome })).toEqual({
      done: 3,
      skipped: 1,
      failed: 0,
    });
    expect(outcomes.find(({ id }) => id === "nobody")).toMatchObject({ status: "skipped" });
    for (const id of ids.slice(0, 3)) await expect(client.get(id).result()).rejects.toThrow("enough");
    expect(await client.cancelMany(ids.slice(0, 3))).toEqual({ done: 0, skipped: 3, failed: 0 });
    expect(await client.deleteMany(ids)).toEqual({ done: 3, skipped: 3, failed: 0 });
    expect(await client.terminateMany(new Set(ids.slice(3, 5)), { reason: "now" })).toMatchObject({ done: 2 });
    expect(await states()).toEqual({ "r-3": "terminated", "r-4": "terminated", "r-5": "running" });
  });

  it("does so to all that a filter means, chosen before anything is done", async () => {
    await startAll(count(5, "old"));
    const since = Date.now() + 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    await startAll(count(70, "new"));
    await startFailing(3);

    expect(await client.terminateMany({ workflow: waits, since })).toEqual({ done: 70, skipped: 0, failed: 0 });
    const retried = await client.retryMany({ workflow: "fails@1" });
    expect(retried).toEqual({ done: 3, skipped: 0, failed: 0 });
    await expect.poll(async () => Object.values(await states()).filter((state) => state === "failed").length).toBe(6);
    expect(await client.deleteMany({ status: ["failed", "terminated"] })).toEqual({ done: 76, skipped: 0, failed: 0 });
    expect(Object.keys(await states())).toEqual(expect.arrayContaining(count(5, "old")));
    expect(await client.deleteMany({})).toEqual({ done: 0, skipped: 0, failed: 0 });
    expect(await client.cancelMany({})).toEqual({ done: 5, skipped: 0, failed: 0 });
  });

  it("refuses what makes no sense before anything is done", async () => {
    await startAll(["r"]);
    const all = [
      client.cancelMany("r" as never),
      client.cancelMany({ state: "running" } as never),
      client.cancelMany(["r"], { rate: 5 } as never),
      client.terminateMany(["r"], { perSecond: 0 }),
      client.deleteMany({ status: "over" as never }),
      client.retryMany({ since: Number.NaN }),
      client.list({ workflow: "waits@x" }),
    ];
    for (const one of await Promise.allSettled(all)) expect(one).toMatchObject({ reason: expect.any(RangeError) });
    expect(await states()).toEqual({ r: "running" });
  });

  it("lists runs by state, time and parent", async () => {
    await (await client.start(child, 2, { id: "mum" })).result();
    expect((await client.list({ parent: "mum" })).map(({ id }) => id).sort()).toEqual(["mum-0", "mum-1"]);
    expect(await client.list({ until: Date.now() - 3_600_000 })).toEqual([]);
    expect(
      (await client.list({ since: new Date(Date.now() - 3_600_000), status: ["completed", "failed"] })).length,
    ).toBe(3);
  });
});

describe("two thousand runs", () => {
  it("are cancelled, and retried, each within half a minute, and each run once", async () => {
    const outcomes: BulkOutcome[] = [];
    const onOutcome = (one: BulkOutcome) => void outcomes.push(one);
    const seconds = async (act: () => Promise<unknown>, runs: number) => {
      const from = performance.now();
      expect(await act()).toEqual({ done: runs, skipped: 0, failed: 0 });
      const took = (performance.now() - from) / 1_000;
      expect(new Set(outcomes.splice(0).map(({ id }) => id)).size).toBe(runs);
      expect(took).toBeLessThan(30);
      return took.toFixed(1);
    };
    await startAll(count(2_000));
    const cancelled = await seconds(() => client.cancelMany({ workflow: waits }, { onOutcome }), 2_000);
    await expect
      .poll(async () => Object.values(await states()).filter((state) => state === "cancelled").length, {
        timeout: 30_000,
      })
      .toBe(2_000);
    await startFailing(2_000);
    const retried = await seconds(() => client.retryMany({ status: "failed" }, { onOutcome }), 2_000);
    await expect
      .poll(async () => Object.values(await states()).filter((state) => state === "failed").length, { timeout: 30_000 })
      .toBe(4_000);
    console.log(`2,000 runs: cancelled in ${cancelled} s, retried in ${retried} s`);
  }, 120_000);
});

describe("a run", () => {
  it("is started again with its input, once for each end", async () => {
    const run = await client.start(fails, 7, { id: "first" });
    await expect(run.result()).rejects.toThrow("no 7");
    const again = await run.retry();
    expect(again.id).toMatch(/^first-retry-\d+$/);
    await expect(again.result()).rejects.toThrow("no 7");
    expect((await run.retry()).id).toBe(again.id);
    const third = await again.retry();
    expect(third.id).toMatch(/^first-retry-\d+$/);
    expect(third.id).not.toBe(again.id);
    expect((await run.retry({ id: "mine" })).id).toBe("mine");
    expect((await run.status()).status).toBe("failed");
  });

  it("is not started again while it goes on, when it has completed, or as a child", async () => {
    const going = await client.start(waits, 0);
    await expect(going.retry()).rejects.toThrow(RunNotRetriedError);
    await expect(going.delete()).rejects.toThrow(RunStillGoingError);
    const mum = await client.start(child, 1, { id: "mum" });
    await mum.result();
    await expect(mum.retry()).rejects.toThrow("it has completed");
    await expect(client.get("nobody").retry()).rejects.toThrow("There is no run");
    const bad = await client.start(child, -1, { id: "bad" });
    await bad.result().catch(() => {});
    await expect(client.get("bad-0").retry()).rejects.toThrow("it is a child of run bad");
    expect((await bad.retry()).id).toMatch(/^bad-retry-/);
  });
});

describe("the command line", () => {
  it("previews, and does nothing without --yes where there is no terminal", async () => {
    await startAll(count(8));
    const asked = await cli("cancel --workflow waits", env);
    expect(asked).toMatchObject({
      code: 2,
      err: expect.stringMatching(/cancel 8 runs: 8 running\n {2}of 8 waits@1\n/),
    });
    expect(asked.err).toContain("use --yes to do it, or --dry-run");
    const dry = await cli("cancel --all --dry-run", env);
    expect(dry).toMatchObject({
      code: 0,
      err: expect.stringContaining("8 runs would be asked to stop; nothing was done"),
    });
    expect(dry.out.trim().split("\n")).toHaveLength(8);
    expect(json((await cli("cancel --all --dry-run --json", env)).out)[0]).toMatchObject({
      status: "running",
      workflow: "waits",
    });
    expect(new Set(Object.values(await states()))).toEqual(new Set(["running"]));
  });

  it("asks on a terminal, shows how far it is, and reports", async () => {
    // The coordinator is up.
    await (await client.start(ends, 1)).result();
    await startAll(count(60));
    const no = await cli("terminate --all", env, { columns: 80, stdin: "n\n" });
    expect(no).toMatchObject({ code: 1, err: expect.stringContaining("Nothing was done.") });
    const yes = await cli("terminate --all --rate 100", env, { columns: 80, stdin: "y\n" });
    expect(yes.code).toBe(0);
    expect(yes.err).toMatch(/█+░* \d+ of 60, \d+\/s/);
    expect(yes.err).toMatch(/60 of 60 runs terminated in \d/);
  });

  it("takes several ids, tells each outcome with --json, and ends with 1 if one failed", async () => {
    await startAll(count(3));
    const { code, out } = await cli("cancel r-0 r-1 nobody r-0 --json", env);
    expect(code).toBe(0);
    const lines = json(out);
    expect(lines).toHaveLength(4);
    expect(lines).toEqual(
      expect.arrayContaining([
        { run: "r-0", done: "cancel" },
        { run: "r-1", done: "cancel" },
        { run: "nobody", skipped: true, error: { code: "RUN_NOT_FOUND", message: expect.any(String) } },
      ]),
    );
    expect(lines.at(-1)).toMatchObject({ runs: 3, done: 2, skipped: 1, failed: 0, untried: 0 });
    const failed = await cli("cancel r-2 no.id", env);
    expect(failed).toMatchObject({ code: 1, err: expect.stringContaining("failed: no.id: Invalid id of a run") });
    expect(failed.err).toMatch(/1 of 2 runs asked to stop in .*; 1 failed/);
    await expect(client.get("r-2").result()).rejects.toThrow();
  });

  it("retries and deletes by filters", async () => {
    await startFailing(5);
    const retried = await cli("retry --workflow fails --yes --json", env);
    expect(retried.code).toBe(0);
    expect(json(retried.out).filter(({ started }) => /^bad-\d-retry-\d+$/.test(started))).toHaveLength(5);
    const one = await cli("retry bad-0", env);
    expect(one.out).toMatch(/^bad-0-retry-\d+\n$/);
    await expect.poll(async () => Object.values(await states()).filter((state) => state === "failed").length).toBe(10);
    expect(await cli("delete --status failed --yes", env)).toMatchObject({
      code: 0,
      err: expect.stringMatching(/10 of 10 runs deleted in/),
    });
    expect(await cli("delete --all --yes", env)).toMatchObject({ code: 0, err: "no run fits\n" });
  });

  it.each([
    ["cancel", "Which runs?"],
    ["delete r --all", "not both"],
    ["cancel --all --rate fast", "--rate"],
    ["cancel r-1 r-2 --wait", "--wait is for one run"],
    ["retry --all --id x", "--id is for one run"],
    ["terminate --status over", "--status"],
  ])("refuses %s: exit code 2", async (args, why) => {
    expect(await cli(args, env)).toMatchObject({ code: 2, err: expect.stringContaining(why) });
  });

  it("says what was done until it is interrupted", async () => {
    await startAll(count(100));
    const stop = new AbortController();
    const ran = cli("terminate --all --yes --rate 20 --json", env, {
      signal: stop.signal,
      onOut: (out) => out.split("\n").length > 5 && stop.abort(new Error("interrupted")),
    });
    const { code, out } = await ran;
    expect(code).toBe(130);
    const report = json(out).findLast((line) => line.runs === 100);
    expect(report).toMatchObject({ failed: 0, stopped: { message: expect.stringContaining("interrupted") } });
    expect(report.untried).toBeGreaterThan(50);
  });

  it("does it to 10,000 runs in under a minute each", async () => {
    const ids = count(10_000);
    await startAll(ids);
    await expect.poll(async () => (await client.list({ limit: 1 })).length, { timeout: 20_000 }).toBe(1);
    for (const [command, done] of [
      ["terminate --all", "terminated"],
      ["delete --all", "deleted"],
    ]) {
      const since = performance.now();
      const { code, err } = await cli(`${command} --yes`, env);
      const tookS = (performance.now() - since) / 1_000;
      console.error(`${command}: 10,000 runs in ${tookS.toFixed(1)} s`);
      expect(err).toMatch(new RegExp(`10,000 of 10,000 runs ${done} in`));
      expect(code).toBe(0);
      expect(tookS).toBeLessThan(60);
    }
    expect(await client.list()).toEqual([]);
  }, 180_000);
});
