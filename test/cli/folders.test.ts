/** A project's server is found from each of its folders, and is where it was. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { cli, cliWhole } from "./scene.ts";

const STEPSTREAM = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));

let project: string;
let env: NodeJS.ProcessEnv;
let taken: TestServer;
beforeAll(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), "stepstream-folders-")));
  await writeFile(join(project, "package.json"), '{ "type": "module" }');
  await mkdir(join(project, "src", "deep"), { recursive: true });
  await writeFile(join(project, "src", "nothing.ts"), "export const nothing = 1;\n");
  env = { ...process.env };
  for (const name of ["NATS_URL", "STEPSTREAM_NAMESPACE", "NO_COLOR", "FORCE_COLOR"]) delete env[name];
  taken = await startTestServer();
});
afterAll(async () => {
  await taken?.stop();
  await rm(project, { recursive: true, force: true });
});

/** `stepstream dev`, from one of the project's folders, until its banner is there. */
async function dev(from: string, ...args: string[]) {
  const child = spawn(process.execPath, [STEPSTREAM, "dev", join(project, "src", "nothing.ts"), ...args], {
    cwd: join(project, from),
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  let said = "";
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
      const found = /NATS +(nats:\/\/\S+).*Ctrl-C ends it all/s.exec(said)?.[1];
      if (found) resolve(found);
    });
    void exited.then(() => reject(new Error(said)));
  });
  return {
    url,
    said: () => said,
    async end(signal: NodeJS.Signals = "SIGTERM") {
      child.kill(signal);
      return (await exited)[0];
    },
  };
}
const using = async (from: string) => (await cliWhole("queue", {}, { cwd: join(project, from) })).err.split("\n")[0];

describe.skipIf(process.platform === "win32")("the server of stepstream dev", () => {
  it("is found from a folder below, as from the project's own; dev started there is the same dev", async () => {
    const first = await dev("");
    expect(await using("")).toBe(`using ${first.url} (stepstream dev in this folder), namespace "default"`);
    expect(await using("src/deep")).toBe(`using ${first.url} (stepstream dev in ../..), namespace "default"`);
    const { out } = await cliWhole("doctor", {}, { cwd: project });
    expect(out).toMatch(/^✓ durability: one replica, .*; this is a development server$/m);
    expect(await first.end()).toBe(0);
    expect(await using("src/deep")).not.toContain("stepstream dev");

    const below = await dev("src/deep");
    expect(existsSync(join(project, "src", "deep", ".stepstream"))).toBe(false);
    expect(await using("")).toContain(`${below.url} (stepstream dev in this folder)`);
    expect(await below.end("SIGINT")).toBe(130);
  });

  it("has the port that it had before, also after it was killed, until another has that port", async () => {
    const port = async () => (await readFile(join(project, ".stepstream", "port"), "utf8")).trim();
    const first = await dev("");
    const { port: had } = new URL(first.url);
    expect(await port()).toBe(had);
    await first.end("SIGKILL");
    const second = await dev("src");
    expect(second.url).toBe(first.url);
    await second.end();

    await writeFile(join(project, ".stepstream", "port"), new URL(taken.url).port);
    const third = await dev("");
    expect(third.url).not.toBe(taken.url);
    expect(third.said()).toContain(`port ${new URL(taken.url).port}, which it had before, is taken`);
    expect(await port()).toBe(new URL(third.url).port);
    await third.end();
  });

  it("is found also if it keeps its data elsewhere, or none; and leaves nothing", async () => {
    await rm(join(project, ".stepstream"), { recursive: true, force: true });
    const nowhere = await dev("src", "--no-data");
    expect(await using("src/deep")).toContain(`using ${nowhere.url} (stepstream dev in ../..)`);
    await nowhere.end();
    expect(existsSync(join(project, ".stepstream"))).toBe(false);
  });
});

describe("the server and the namespace in use", () => {
  it("are said on standard error, unless they are the default, or the answer is JSON", async () => {
    const url = taken.url;
    const err = async (args: string, env: Record<string, string> = {}) =>
      (await cliWhole(args, env, { cwd: tmpdir() })).err;
    expect(await err(`--nats ${url} queue`)).toMatch(`using ${url} (--nats), namespace "default"\n`);
    expect(await err("queue -n shop", { NATS_URL: url })).toMatch(`using ${url} (NATS_URL), namespace "shop"\n`);
    expect(await err("queue --json", { NATS_URL: url })).not.toContain("using");
    // A password in a URL is nobody's business.
    const secret = url.replace("://", "://eva:secret@");
    expect(await err("queue", { NATS_URL: secret })).not.toContain("secret");
    expect((await cli("queue", { NATS_URL: url }, { cwd: tmpdir() })).out).not.toContain("using");
  });
});
