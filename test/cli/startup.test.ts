/** What a command loads before it does anything: nothing that it does not need, so that it starts at once. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { wholeProgram } from "@stepstream/cli";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Scene, setScene, sum } from "./scene.ts";

const STEPSTREAM = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));
const LIST_IMPORTS = new URL("./code/list-imports.mjs", import.meta.url).href;
/** The large ones, and what only some commands need. */
const LARGE = /zod|@nats-io|@opentelemetry|pino|opossum|chokidar|log-update|typescript/;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-startup-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Loaded {
  /** Packages of others, by their name. */
  packages: string[];
  /** Files of the command line, e.g. "commands/ls". */
  own: string[];
  cpuMs: number;
}

let runs = 0;
async function loadedBy(args: readonly string[], env: Record<string, string> = {}): Promise<Loaded> {
  const list = join(folder, `${++runs}.txt`);
  await promisify(execFile)(process.execPath, ["--import", LIST_IMPORTS, STEPSTREAM, ...args], {
    env: { ...process.env, ...env, LIST_IMPORTS: list },
  });
  const [cpuMs, ...urls] = (await readFile(list, "utf8")).split("\n");
  const all = (pattern: RegExp) => [...new Set(urls.flatMap((url) => pattern.exec(url)?.[1] ?? []))];
  return {
    packages: all(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//),
    own: all(/\/packages\/cli\/(?:src|dist)\/(.*)\.[jt]s$/),
    cpuMs: Number(cpuMs),
  };
}

const commandsOf = (command: Command): string[] => command.commands.map((one) => one.name());
const io = { out: { write() {} }, err: { write() {} }, env: {} } as never;
const COMMANDS = commandsOf(await wholeProgram(io)).filter((name) => !name.startsWith("__"));

describe("to print help", () => {
  it("loads neither zod nor NATS nor OpenTelemetry, and no command (C1, C2)", async () => {
    const { packages, own } = await loadedBy(["--help"]);
    expect(packages).toEqual(["commander"]);
    expect(own.filter((file) => /^(commands|actions)\//.test(file)).sort()).toEqual([
      "commands/defined",
      "commands/table",
    ]);
  });

  it.each(COMMANDS)("of %s loads that command alone (C1, C2)", async (name) => {
    const { packages, own } = await loadedBy([name, "--help"]);
    expect(packages).toEqual(["commander"]);
    expect(own.filter((file) => /^(commands|actions)\//.test(file)).sort()).toEqual(
      ["commands/defined", "commands/table", `commands/${name}`].sort(),
    );
  });

  it("of all commands, for completion, loads no more packages than that", async () => {
    expect((await loadedBy(["__complete", "--", ""])).packages).toEqual(["commander"]);
  });

  it("takes little more of the CPU than Node.js itself", async () => {
    await loadedBy(["--help"]); // what is compiled is kept
    const least = Math.min(...(await Promise.all([1, 2, 3].map(() => loadedBy(["--help"])))).map(({ cpuMs }) => cpuMs));
    // 0.05 s on the machine where it was measured; with all commands it was 0.29 s.
    expect(least).toBeLessThan(200);
  });
});

describe("the list of runs", () => {
  let scene: Scene;
  let env: Record<string, string>;
  beforeAll(async () => {
    scene = await setScene();
    env = { NATS_URL: scene.server.url, STEPSTREAM_NAMESPACE: scene.namespace, XDG_CACHE_HOME: folder };
    await (await scene.client.start(sum, [1, 2], { id: "listed" })).result();
  });
  afterAll(() => scene?.stop());

  it("needs neither the client nor OpenTelemetry", async () => {
    await loadedBy(["ls"], env);
    const { packages, own } = await loadedBy(["ls"], env);
    expect(packages.filter((name) => LARGE.test(name)).sort()).toEqual([
      "@nats-io/jetstream",
      "@nats-io/nats-core",
      "@nats-io/nkeys",
      "@nats-io/nuid",
      "@nats-io/transport-node",
      "zod",
    ]);
    expect(own).toContain("read-model/sync");
  });
});
