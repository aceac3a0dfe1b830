/** A Node.js that is too old is refused in one line, by everything that users start. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "acorn";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What package managers put on the PATH: of every package that is published. */
async function bins(): Promise<string[]> {
  const found: string[] = [];
  for (const parent of ["packages", "services", "."])
    for (const name of await readdir(join(ROOT, parent))) {
      const manifest = await readFile(join(ROOT, parent, name, "package.json"), "utf8").catch(() => "{}");
      for (const path of Object.values(JSON.parse(manifest).bin ?? {}) as string[])
        found.push(join(parent, name, path));
    }
  return found;
}
const BINS = await bins();
/** And what the scripts of the checkout's package.json start, which fetches a newer Node.js from 18 on. */
const TASKS = "scripts/run.mjs";

let folder: string;
let pretend: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-old-node-"));
  pretend = join(folder, "pretend.cjs");
  await writeFile(
    pretend,
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: process.env.PRETENDED } });`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  code: number;
  out: string;
  err: string;
}
const ran = (node: string, args: readonly string[], env: Record<string, string> = {}) =>
  new Promise<Ended>((resolve) => {
    execFile(node, args, { cwd: ROOT, env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: error ? (error.code as number) : 0, out, err }),
    );
  });
const as = (version: string, file: string) =>
  ran(process.execPath, ["--require", pretend, file, "--version"], { PRETENDED: version });

describe("a Node.js that is too old", () => {
  it.each(BINS.flatMap((file) => ["12.22.12", "18.20.8", "20.19.0", "22.21.1"].map((version) => [file, version])))(
    "is refused in one line by %s: %s",
    async (file, version) => {
      const { code, out, err } = await as(version!, file!);
      expect({ code, out }).toEqual({ code: 2, out: "" });
      expect(err).toMatch(new RegExp(`^[a-z-]+ needs Node\\.js 22\\.22 or newer; this is ${version}\\.\n$`));
    },
  );

  it("is refused by the tasks of a checkout, where it cannot fetch a newer one", async () => {
    const { code, out, err } = await as("16.20.2", TASKS);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^stepstream: the tasks need Node\.js 18 or newer, .* this is 16\.20\.2\.\n$/);
  });

  it("is refused by the tests of a new project, which it would not find", async () => {
    const { createProject } = await import("../../packages/cli/src/create/project.ts");
    const project = join(folder, "project");
    await createProject(project, { kind: "registry", spec: () => "*", overrides: {} });
    const { scripts } = JSON.parse(await readFile(join(project, "package.json"), "utf8"));
    expect(scripts.pretest).toBe("stepstream --version");
  });

  // What an entry file says is of no use, if that Node.js cannot read it.
  it.each(BINS)("can read %s", async (file) => {
    expect(file).toMatch(/\.cjs$/); // from Node.js 10 on, and whatever the package's type is
    const source = await readFile(join(ROOT, file), "utf8");
    // import() alone is newer than ES 5: Node.js 10 knows it.
    expect(source.match(/^import\(/gm)).toHaveLength(1);
    parse(source.replace(/^import\(/m, "later("), { ecmaVersion: 5, sourceType: "script", allowHashBang: true });
  });

  it("can read the tasks of a checkout", async () => {
    const source = await readFile(join(ROOT, TASKS), "utf8");
    parse(source, { ecmaVersion: 2020, sourceType: "module" });
    expect(source).not.toMatch(/^import\s+[^(]/m); // what is imported so is read before anything is said
  });
});

/** Those on the PATH, behind ours: a machine that runs CI has one more often than not. */
const OLD = (process.env.PATH ?? "").split(delimiter).flatMap((place) => {
  const node = join(place, "node");
  try {
    const version = execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();
    const [major = 0, minor = 0] = version.split(".").map(Number);
    return major < 22 || (major === 22 && minor < 22) ? [{ node, version }] : [];
  } catch {
    return [];
  }
});
describe.skipIf(OLD.length === 0)("a real one", () => {
  it.each(BINS)("is refused by %s", async (file) => {
    for (const { node, version } of OLD)
      expect(await ran(node, [file, "--help"])).toEqual({
        code: 2,
        out: "",
        err: expect.stringMatching(new RegExp(`^[a-z-]+ needs Node\\.js 22\\.22 or newer; this is ${version}\\.\n$`)),
      });
  });
});
