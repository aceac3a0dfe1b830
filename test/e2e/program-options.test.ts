/** What stepstream-coordinator and stepstream-worker take: all that the command line takes about a connection. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { wholeProgram } from "@stepstream/cli";
import {
  CONNECTION_FLAGS,
  COORDINATOR_FLAGS,
  NAMESPACE_FLAG,
  OTHER_VARIABLES,
  PROGRAM_FLAGS,
  WAIT_FLAG,
  WORKER_FLAGS,
} from "@stepstream/program/flags";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { userKey } from "../support/credentials.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PROGRAMS = {
  "stepstream-coordinator": {
    bin: "services/coordinator/bin/stepstream-coordinator.cjs",
    module: "test/e2e/programs/workflows.ts",
  },
  "stepstream-worker": { bin: "services/step-worker/bin/stepstream-worker.cjs", module: "test/e2e/programs/list.ts" },
} as const;
type Name = keyof typeof PROGRAMS;
const NAMES = Object.keys(PROGRAMS) as Name[];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-programs-"));
  await mkdir(join(folder, "nats", "context"), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Line {
  event?: string;
  nats?: string;
  msg?: string;
}

/** A program until it is ready, or has ended. */
async function run(name: Name, args: readonly string[], more: Record<string, string> = {}) {
  const env: NodeJS.ProcessEnv = { ...process.env, XDG_CONFIG_HOME: folder };
  for (const variable of Object.keys(env)) if (variable.startsWith("NATS_")) delete env[variable];
  const { bin, module } = PROGRAMS[name];
  const child = spawn(process.execPath, [join(ROOT, bin), ...args, "--connect-timeout", "1s", join(ROOT, module)], {
    cwd: folder,
    env: { ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    err += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let ready: Line | undefined;
  while (!ready) {
    const { value, done } = await lines.next();
    if (done) break;
    const line = JSON.parse(value) as Line;
    if (line.event === "ready") ready = line;
  }
  return {
    ready,
    err: () => err,
    async end(signal: NodeJS.Signals = "SIGTERM") {
      child.kill(signal);
      return (await exited)[0];
    },
    exited: async () => (await exited)[0],
  };
}

describe.skipIf(noGuardedServer)("on a server that asks who one is", () => {
  const { seed, publicKey } = userKey();
  let server: GuardedServer;
  let nkey: string;
  beforeAll(async () => {
    server = await startGuardedServer(
      `authorization { users: [ { user: eva, password: "p@ss" }, { nkey: ${publicKey} } ] }`,
    );
    nkey = join(folder, "eva.nk");
    await writeFile(nkey, seed);
    const context = { url: `nats://${server.address}`, user: "eva", password: "p@ss" };
    await writeFile(join(folder, "nats", "context", "shop.json"), JSON.stringify(context));
  });
  afterAll(() => server?.stop());

  it.each(NAMES)("%s gets in by flags, variables, a key and a context, and says where it is", async (name) => {
    const ways: [args: string[], env?: Record<string, string>][] = [
      [["--nats", server.address, "--user", "eva", "--password", "p@ss"]],
      [[], { NATS_URL: server.address, NATS_USER: "eva", NATS_PASSWORD: "p@ss" }],
      [["--nats", server.address, "--nkey", nkey]],
      [["--context", "shop"]],
      [[], { NATS_CONTEXT: "shop" }],
      [["--context", "shop", "--inbox-prefix", "_MINE"]],
    ];
    const tried = await Promise.all(ways.map(([args, env]) => run(name, [...args, "-n", name], env)));
    for (const one of tried) {
      expect(one.ready?.nats, one.err()).toContain(server.address);
      expect(await one.end()).toBe(0);
    }
  });

  it.each(NAMES)("%s is interrupted with 130 by Ctrl-C", async (name) => {
    const one = await run(name, ["--context", "shop", "-n", name]);
    expect(await one.end("SIGINT")).toBe(130);
  });

  it.each(NAMES)("%s says in one line what is not there: exit code 2", async (name) => {
    for (const [args, said] of [
      [["--context", "nothing"], 'There is no NATS context "nothing"'],
      [["--creds", "/nowhere.creds"], "/nowhere.creds"],
      [["--nkey", join(folder, "nats", "context", "shop.json")], "holds no nkey seed"],
      [["--tls-ca", "/nowhere.pem"], "/nowhere.pem"],
    ] as const) {
      const one = await run(name, args);
      expect(await one.exited()).toBe(2);
      expect(one.err()).toContain(said);
      expect(one.err().trim().split("\n")).toHaveLength(1);
    }
  });
});

const page = await readFile(join(ROOT, "docs/reference/settings.md"), "utf8");

describe("the settings", () => {
  const CONNECTION = [...CONNECTION_FLAGS, NAMESPACE_FLAG, WAIT_FLAG];

  it.each(NAMES)("are all in the help of %s, with examples", async (name) => {
    const out = await new Promise<string>((resolve) =>
      execFile(process.execPath, [join(ROOT, PROGRAMS[name].bin), "--help"], (_error, stdout) => resolve(stdout)),
    );
    const own = name === "stepstream-worker" ? WORKER_FLAGS : COORDINATOR_FLAGS;
    for (const flag of [...CONNECTION, ...PROGRAM_FLAGS, ...own]) {
      expect(out).toContain(`  --${flag.name} `);
      if ("variable" in flag) expect(out).toContain(`(${flag.variable})`);
    }
    expect(out.match(new RegExp(`^ {2}\\$ .*${name} `, "gm"))?.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it("of the connection are options of the command line", async () => {
    const io = { out: { write() {} }, err: { write() {} }, env: {} } as never;
    const { options } = await wholeProgram(io);
    for (const { name, variable } of CONNECTION) {
      const option = options.find(({ long }) => long === `--${name}`);
      expect(option?.description, name).toContain(variable);
    }
  });

  it("are all on their page, and so is each variable that the code reads", async () => {
    for (const { name } of [...CONNECTION, ...PROGRAM_FLAGS, ...COORDINATOR_FLAGS, ...WORKER_FLAGS])
      expect(page).toContain(`\`--${name}`);
    const said = new Set<string>([
      ...[...CONNECTION, ...PROGRAM_FLAGS, ...COORDINATOR_FLAGS].map(({ variable }) => variable),
      ...Object.keys(OTHER_VARIABLES),
    ]);
    for (const variable of said) expect(page).toContain(`\`${variable}\``);
    const read = new Map<string, string>();
    for (const parent of ["packages", "services"])
      for (const name of await readdir(join(ROOT, parent)))
        for (const file of await readdir(join(ROOT, parent, name, "src"), { recursive: true }).catch(() => [])) {
          if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
          const source = await readFile(join(ROOT, parent, name, "src", file), "utf8");
          for (const [, variable] of source.matchAll(/\benv(?:\.|\["|, ")([A-Z][A-Z0-9_]+)/g))
            read.set(variable!, `${parent}/${name}/src/${file}`);
        }
    expect(read.size).toBeGreaterThan(8);
    const unsaid = [...read].filter(([variable]) => !said.has(variable) && !variable.startsWith("OTEL_"));
    expect(unsaid).toEqual([]);
  });
});
