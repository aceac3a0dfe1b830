/**
 * A new project, as its user makes it: from the packed packages, with npm, outside the workspace. What is packed is what
 * would be published, so this is also the test of `npm run pack`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const STEPSTREAM = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));
const PACK = fileURLToPath(new URL("../../scripts/pack/main.ts", import.meta.url));

let folder: string;
let project: string;
let tarballs: string;
// Nothing is kept of what is compiled of a project that is soon gone.
const env: NodeJS.ProcessEnv = { ...process.env, npm_config_prefer_offline: "true", NODE_DISABLE_COMPILE_CACHE: "1" };
// What the npm that runs the tests says of itself is not for the npm that the project's user has.
for (const name of Object.keys(env))
  if (/^(npm_(lifecycle|package|command|config_user_agent|execpath)|NATS_URL|STEPSTREAM_NAMESPACE)/.test(name))
    delete env[name];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-create-"));
  project = join(folder, "My Shop");
  tarballs = join(folder, "packages");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

async function run(cwd: string, command: string, ...args: string[]): Promise<Ran> {
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32" && command !== process.execPath,
  });
  const [out, err, [code]] = await Promise.all([
    child.stdout.setEncoding("utf8").toArray(),
    child.stderr.setEncoding("utf8").toArray(),
    once(child, "exit"),
  ]);
  return { code, out: out.join(""), err: err.join("") };
}
const stepstream = (...args: string[]) => run(folder, process.execPath, STEPSTREAM, ...args);

it("from a checkout is linked to it", async () => {
  const { code, err } = await stepstream("create", "linked", "--no-install");
  expect(err).toContain("Next:\n  cd linked\n  npm install\n");
  expect(code).toBe(0);
  const { dependencies, devDependencies } = JSON.parse(await readFile(join(folder, "linked", "package.json"), "utf8"));
  const links = Object.entries<string>({ ...dependencies, ...devDependencies }).filter(([, to]) =>
    to.startsWith("file:"),
  );
  expect(links.length).toBeGreaterThan(3);
  for (const [name, to] of links)
    expect(JSON.parse(await readFile(join(to.slice("file:".length), "package.json"), "utf8")).name).toBe(name);
});

it("does not write into a folder that holds something", async () => {
  const { code, err } = await stepstream("create", "linked");
  expect(err).toMatch(/linked is not empty \(it has .*\); nothing was written/);
  expect(code).toBe(2);
  const nowhere = await stepstream("create", "other", "--packages", "nowhere");
  expect(nowhere.err).toContain("nowhere cannot be read");
  expect(nowhere.code).toBe(2);
  expect(await readdir(folder)).toEqual(["linked"]);
});

it("from packages passes its own tests at once, type-checks, and runs", { timeout: 180_000 }, async () => {
  const packed = await run(folder, process.execPath, PACK, "--out", tarballs);
  expect(packed.code, packed.err).toBe(0);

  const made = await stepstream("create", project, "--packages", tarballs);
  expect(made.code, made.err).toBe(0);
  expect(made.err).toContain('Next:\n  cd "My Shop"\n  npm test');

  const tested = await run(project, "npm", "test");
  expect(tested.out).toMatch(/pass 4\n.*fail 0\n/s);
  expect(tested.code).toBe(0);

  expect(await run(project, "npx", "tsc")).toMatchObject({ out: "", code: 0 });

  // The linter knows what workflow code must not do, and finds nothing in what is there.
  expect(await run(project, "npm", "run", "lint")).toMatchObject({ code: 0 });
  const workflows = join(project, "src/workflows.ts");
  const good = await readFile(workflows, "utf8");
  await writeFile(
    workflows,
    good.replace("const { parcel } = await w.run(ship", "w.run(refund, { receipt });\n    $&"),
  );
  const linted = await run(project, "npm", "run", "lint");
  expect(linted.code).toBe(1);
  expect(linted.out).toContain("stepstream(no-floating-step): Nobody waits for w.run()");
  await writeFile(workflows, good);

  // The programs of production are there as well, and their entry files find what they start.
  for (const program of ["stepstream-coordinator", "stepstream-worker"])
    expect(await run(project, "npx", program, "--help")).toMatchObject({
      code: 0,
      out: expect.stringContaining(`Usage: ${program} [options]`),
    });

  // The types of all our packages as well, and of what they import. (Those of nats.js do not pass the stricter option.)
  await writeFile(
    join(project, "all.ts"),
    ["sdk", "coordinator", "step-worker", "testing", "cli", "infra", "contracts", "telemetry", "event-log/jetstream"]
      .map((name) => `import "@stepstream/${name}";\n`)
      .join(""),
  );
  const strict = ["--skipLibCheck", "false", "--exactOptionalPropertyTypes", "false"];
  expect(await run(project, "npx", "tsc", ...strict)).toMatchObject({ out: "", code: 0 });

  const child = spawn(
    process.execPath,
    [bin("@stepstream/cli/bin/stepstream.cjs"), "dev", "src/workflows.ts", "src/handlers.ts", "--no-data"],
    { cwd: project, env: { ...env, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = once(child, "exit");
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (said.includes("Start a run:")) resolve(/nats:\/\/\S+/.exec(said)![0]);
      });
      child.once("exit", () => reject(new Error(`dev has ended:\n${said}`)));
    });
    const input = JSON.stringify({ orderId: "1", cents: 995 });
    const ran = await run(
      project,
      process.execPath,
      bin("@stepstream/cli/bin/stepstream.cjs"),
      ...["--nats", url, "start", "order", "--input", input, "--id", "order-1", "--wait"],
    );
    expect(ran.err).toBe(`using ${url} (--nats), namespace "default"\n`);
    expect(JSON.parse(ran.out)).toEqual({ receipt: "receipt-order-1/1", parcel: "parcel-1" });
  } finally {
    child.kill("SIGTERM");
    await exited;
  }
  if (process.platform !== "win32") expect(await exited).toEqual([0, null]);
  await expect(stat(join(project, ".stepstream"))).rejects.toThrow("ENOENT");
});

function bin(path: string): string {
  return join(project, "node_modules", path);
}
