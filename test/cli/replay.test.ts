/** `replay`: one run step by step, many before a deploy; and an exported history as a test. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { type Client, connect } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { createTestEnvironment } from "@stepstream/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { noTerminal, openTerminal } from "../support/terminal.ts";
import { work } from "./code/helper.ts";
import { below, places } from "./code/places.ts";
import { places as changed } from "./code/places-changed.ts";
import { cli, type Ran } from "./scene.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const MAIN = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));
const RUN = "places-1";

let server: TestServer;
let coordinator: Coordinator;
let worker: Worker;
let client: Client;
let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  server = await startTestServer();
  folder = await mkdtemp(join(tmpdir(), "stepstream-replay-"));
  const bus = { nats: server.url, namespace: `replay-${process.pid}` };
  env = { NATS_URL: bus.nats, STEPSTREAM_NAMESPACE: bus.namespace, XDG_CACHE_HOME: folder };
  coordinator = await createCoordinator({ ...bus, workflows: [places, below] }).start();
  client = await connect(bus);
  const run = await client.start(places, 1, { id: RUN });
  // Before any step is done: the tests count on the order.
  await run.signal("go", undefined);
  worker = await createWorker(bus)
    .handle(work, (n) => n)
    .start();
  await run.result();
  await client.start(places, 2, { id: "waiting" });
});
afterAll(async () => {
  await client?.close();
  await worker?.stop({ drainMs: 0 });
  await coordinator?.stop();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** In a process of its own: vitest would load another text than that of the file, with other lines. */
function replay(args: string, code = "places"): Promise<Ran> {
  const argv = [MAIN, "replay", ...args.split(" ").filter(Boolean), "--workflows", `code/${code}.ts`];
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { cwd: HERE, env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}
/** Where a line ends with these words: `code/places.ts:13`. */
function at(words: string, file = "places"): string {
  const lines = readFileSync(join(HERE, "code", `${file}.ts`), "utf8").split("\n");
  return `code/${file}.ts:${lines.findIndex((line) => line.endsWith(`// ${words}`)) + 1}`;
}
/** Each place that was waited at, once: what for, and where. */
function waits(out: string): string[] {
  const found = [...out.matchAll(/waits for {2}(?:slot \d+ {2})?(.+?)(?: until .+)?\n {6}(\S+?):\d+(?: |\n)/g)];
  return [...new Set(found.map(([, what, where]) => `${what} ${where}`))];
}

describe("replay of one run", () => {
  it("tells at each step what is waited for, and the place in the code", async () => {
    const { code, out } = await replay(`${RUN} --step`);
    expect(code).toBe(0);
    expect(waits(out)).toEqual([
      `step work ${at("the first")}`,
      `step work ${at("one of two")}`,
      `step work ${at("two of two")}`,
      `a timer ${at("the timer")}`,
      `child places-1-5 ${at("the child")}`,
      `step work ${at("the map")}`,
      `step work ${at("the helper", "helper")}`,
    ]);
    // The line itself, and who called the helper.
    expect(out).toContain("        const first = await w.run(work, n); // the first");
    expect(out).toContain(`${at("the helper", "helper")}:18  in inAnotherFile\n`);
    expect(out).toContain(`      from ${at("the caller")}:12\n`);
    expect(out).not.toContain("packages/");
    expect(out).toMatch(/✓ the code fits the history of run places-1: \d+ messages, \d+ decisions\n$/);
  });

  it("says where a run stands that is not over", async () => {
    const where = async () => waits((await replay("waiting")).out);
    await expect.poll(where, { timeout: 20_000 }).toEqual([`signal go ${at("the signal")}`]);
  });

  it("stops where it is told to", async () => {
    const history = await client.get(RUN).history();
    const { seq } = history.find(({ kind, message }: any) => kind === "inbox" && message.type === "StepCompleted")!;
    expect((await replay(`${RUN} --until ${seq}`)).out).toContain(`stopped at message #${seq}, the 3. of`);
    const child = await replay(`${RUN} --until ChildScheduled`);
    expect(waits(child.out)).toEqual([`child places-1-5 ${at("the child")}`]);
    expect(waits((await replay(`${RUN} --until slot:4`)).out)).toContain(`a timer ${at("the timer")}`);
    expect((await replay(`${RUN} --until slot:99`)).out).toContain("nothing of the history is slot:99");
    expect((await replay(`${RUN} --until ???`)).code).toBe(2);
  });

  it("shows both sides and the line of code where the code has changed", async () => {
    const { code, out } = await replay(RUN, "places-changed");
    expect(code).toBe(1);
    expect(out).toMatch(/diverges at message #\d+, decision \d+\n/);
    expect(out).toContain('recorded  {"type":"StepScheduled","slot":3,"step":"work","input":3}');
    expect(out).toContain('the code  {"type":"StepScheduled","slot":3,"step":"work","input":4}');
    expect(out).toContain(`${at("two of two", "places-changed")}:9`);
    const shorter = await replay(RUN, "places-shorter");
    expect(shorter.code).toBe(1);
    expect(shorter.out).toContain(`${at("one of two", "places-shorter")}:9`);
  });

  it("says what is wrong with what it was given", async () => {
    expect(await replay("nobody")).toMatchObject({ code: 3 });
    expect(await replay("")).toMatchObject({ code: 2, err: "error: Say one of: a run, --file, --all.\n" });
    expect((await replay(RUN, "nothing")).err).toMatch(/code\/nothing\.ts cannot be loaded/);
    expect((await replay(RUN, "helper")).err).toMatch(/No workflow is exported by/);
    expect((await replay("--file code/places.ts")).err).toMatch(/is no JSON/);
  });

  it.skipIf(noTerminal)("goes on with Enter, on with c, and ends with q, on a terminal", async () => {
    const args = [MAIN, "replay", RUN, "--step", "--workflows", "code/places.ts"];
    const options = { cwd: HERE, env: { ...process.env, ...env }, columns: 120, rows: 60 };
    const terminal = openTerminal(process.execPath, args, options);
    await terminal.until("RunStarted");
    expect(terminal.everything()).not.toContain("SignalReceived");
    terminal.type("\r");
    await terminal.until("SignalReceived");
    expect(terminal.everything()).not.toContain("the code fits");
    terminal.type("c\r");
    await terminal.until("the code fits the history");
    expect(await terminal.exited).toBe(0);
  });

  it("runs in a debugger, which can see the workflow's source", async () => {
    const args = [MAIN, "replay", RUN, "--inspect", "127.0.0.1:0", "--workflows", "code/places.ts"];
    const child = spawn(process.execPath, args, {
      cwd: HERE,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for await (const line of createInterface({ input: child.stderr }))
      if (line.includes("Debugger listening on ws://127.0.0.1:")) break;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
});

describe("an exported history", () => {
  it("is replayed from its file, and is a test in one line", async () => {
    const file = join(folder, "places.json");
    expect((await cli(`history ${RUN} --export ${file}`, env)).code).toBe(0);
    expect((await replay(`--file ${file}`)).out).toContain("✓ the code fits");
    expect((await replay(`--file ${file}`, "places-changed")).code).toBe(1);

    await using env_ = await createTestEnvironment({ workflows: [places, below] });
    await env_.replay(file);
    await using other = await createTestEnvironment({ workflows: [changed, below] });
    await expect(other.replay(file)).rejects.toThrow("no longer fits the history of run places-1");
    await using none = await createTestEnvironment({ workflows: [below] });
    await expect(none.replay(file)).rejects.toThrow('no workflow "places" version 1');
  });
});

describe("replay of many runs", () => {
  it("checks those that are not over, or all since a time; a line for each that would not go on", async () => {
    expect(await replay("--all")).toMatchObject({ code: 0, out: "1 fit · 0 would not go on\n" });
    expect((await replay("--all --since 1h")).out).toMatch(/^3 fit · 0 would not go on\n$/);
    const { code, out } = await replay("--all --since 1h", "places-changed");
    expect(code).toBe(1);
    expect(out).toMatch(/^diverges {2}(waiting|places-1) {2}places@1\n {2}recorded {2}.*\n {2}the code {2}/);
    expect(out).toMatch(/\n1 fit · 2 would not go on\n$/);
    const lines = (await replay("--all --since 1h --workflow places --json", "places-changed")).out.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).verdict)).toEqual(["diverges", "diverges"]);
    expect((await replay("--all --workflow nothing")).code).toBe(3);
  });

  it("writes nothing to the bus", async () => {
    const count = async () => (await client.get(RUN).history()).length;
    const before = await count();
    await replay("--all --since 1h");
    await replay(RUN);
    expect(await count()).toBe(before);
  });

  it("shows how far it is, on a terminal", async () => {
    const { err } = await cli("replay --all --workflows code/places.ts", env, { cwd: HERE, columns: 100 });
    expect(err).toMatch(/\[█+\] 1 of 1/);
  });
});
