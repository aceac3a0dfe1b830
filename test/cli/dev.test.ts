/** `stepstream dev` as its user has it: in a terminal, with a project that is being edited. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nameless } from "../../packages/cli/src/actions/start.ts";
import { noTerminal, openTerminal, type Terminal } from "../support/terminal.ts";
import { mark } from "./left-behind.ts";
import { cli } from "./scene.ts";

const STEPSTREAM = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));
const TEMPLATE = new URL("../../packages/cli/template/", import.meta.url);
const MODULES = new URL("../node_modules", import.meta.url);
const DEV = [STEPSTREAM, "dev", "src/workflows.ts", "src/handlers.ts"];
const order = nameless("order", 1);

let project: string;
let marked: ReturnType<typeof mark>;
let env: Record<string, string | undefined>;
beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "stepstream-dev-"));
  await cp(fileURLToPath(TEMPLATE), project, { recursive: true });
  await symlink(fileURLToPath(MODULES), join(project, "node_modules"));
  marked = mark();
  env = { ...process.env, ...marked.env };
  for (const name of ["NATS_URL", "STEPSTREAM_NAMESPACE", "NO_COLOR", "FORCE_COLOR"]) delete env[name];
});
afterEach(() => rm(project, { recursive: true, force: true }));

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const path = join(project, file);
  await writeFile(path, change(await readFile(path, "utf8")));
}

/** dev without a terminal. Resolves when it is ready, with the URL of its server. */
async function inPipe(...more: string[]) {
  const child = spawn(process.execPath, [...DEV, ...more], { cwd: project, env, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
      if (said.includes("Start a run:")) resolve();
    });
    child.once("exit", () => reject(new Error(`It has ended:\n${said}`)));
  });
  return { child, exited, url: /nats:\/\/\S+/.exec(said)![0] };
}

describe.skipIf(noTerminal)("stepstream dev in a terminal", () => {
  let terminal: Terminal | undefined;
  afterEach(() => terminal?.close());

  it("runs what is saved, shows what is wrong with it, and leaves nothing behind", async () => {
    terminal = openTerminal(process.execPath, DEV, { cwd: project, env, columns: 110 });
    await terminal.until("Ctrl-C ends it all");
    expect(terminal.screen()).toMatch(/workflows +order@1\n/);
    expect(terminal.screen()).toMatch(/steps +charge, gate, refund, ship\n/);
    expect(terminal.screen()).toMatch(/data +\.stepstream +kept/);
    const [, url] = await terminal.until(/NATS +(nats:\/\/\S+)/);

    const client = await connect({ nats: url! });
    const first = await client.start(order, { orderId: "1", cents: 995 }, { id: "first" });
    await terminal.until("run         │ first #2 waits");
    // What the server refuses has not happened, although it was on the bus.
    await expect(client.start(order, { orderId: "1", cents: 995 }, { id: "first" })).rejects.toThrow("first");

    // Saved while the run sleeps: it goes on in the coordinator and the worker that come after.
    await edit("src/handlers.ts", (text) => text.replace("parcel-", "changed-"));
    await terminal.until("src/handlers.ts changed: restarting coordinator, worker");
    expect(await first.result()).toMatchObject({ receipt: "receipt-first/1" });
    await terminal.until(/first completed in \d/);
    expect(terminal.screen().match(/first started/g)).toHaveLength(1);

    await edit("src/handlers.ts", (text) => `${text}const wrong = ;\n`);
    await terminal.until(/│ const wrong = ;\n.*│ +\^\n/);
    await terminal.until(/SyntaxError.*Expression expected\n/);
    await terminal.until(/worker +│ waits for a change/);
    await edit("src/handlers.ts", (text) => text.replace("const wrong = ;\n", ""));
    const second = await client.start(order, { orderId: "2", cents: 995 }, { id: "second" });
    expect(await second.result()).toMatchObject({ parcel: "changed-2" });
    await client.close();

    terminal.type("\x03");
    expect(await terminal.exited).toBe(130);
    expect(terminal.screen()).toMatch(/dev +│ stopping/);
    expect(await marked.left()).toEqual([]);
    expect(existsSync(join(project, ".stepstream", "dev.json"))).toBe(false);
  });
});

describe.skipIf(process.platform !== "linux")("stepstream dev that is killed", () => {
  it("takes all it has started with it, and its runs go on in the next one", async () => {
    const killed = await inPipe();
    const client = await connect({ nats: killed.url });
    await client.start(order, { orderId: "1", cents: 995 }, { id: "order-1" });
    expect((await marked.running()).length).toBeGreaterThanOrEqual(5); // itself, the reaper, nats-server, two of ours
    killed.child.kill("SIGKILL");
    await killed.exited;
    expect(await marked.left()).toEqual([]);
    await client.close();

    const next = await inPipe("--workers", "2");
    const again = await connect({ nats: next.url });
    expect(await again.get("order-1").result()).toMatchObject({ parcel: "parcel-1" });
    await again.close();

    // Whoever is in its folder need not say where its server is.
    const told = await cli("result order-1 --json", {}, { cwd: project });
    expect(told).toMatchObject({ code: 0, out: expect.stringContaining('"status":"completed"') });

    const refused = spawn(process.execPath, DEV, { cwd: project, env, stdio: ["ignore", "ignore", "pipe"] });
    const complaint = refused.stderr.setEncoding("utf8").toArray();
    expect(await once(refused, "exit")).toEqual([5, null]);
    expect((await complaint).join("")).toMatch(/runs on .*\.stepstream already: process \d+, nats:/);

    next.child.kill("SIGTERM");
    expect(await next.exited).toEqual([0, null]);
    expect(await marked.left()).toEqual([]);
  });
});

describe.skipIf(process.platform !== "linux")("stepstream dev whose data folder is deleted", () => {
  it("begins with an empty one when it is started again, on another server, and its CLI finds it", async () => {
    const first = await inPipe();
    const client = await connect({ nats: first.url });
    await (await client.start(order, { orderId: "1", cents: 995 }, { id: "order-1" })).result();
    await client.close();
    // While it runs: what it has stored is gone, and the next one must not mind.
    await rm(join(project, ".stepstream"), { recursive: true, force: true });
    first.child.kill("SIGTERM");
    await first.exited;
    expect(await marked.left()).toEqual([]);

    const next = await inPipe();
    const again = await connect({ nats: next.url });
    expect(await again.list()).toEqual([]);
    const run = await again.start(order, { orderId: "2", cents: 995 }, { id: "order-1" });
    expect(await run.result()).toMatchObject({ parcel: "parcel-2" });
    await again.close();
    const told = await cli("result order-1 --json", {}, { cwd: project });
    expect(told).toMatchObject({ code: 0, out: expect.stringContaining('"status":"completed"') });
    next.child.kill("SIGTERM");
    expect(await next.exited).toEqual([0, null]);
    expect(await marked.left()).toEqual([]);
  });
});
