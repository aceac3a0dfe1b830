import { cp, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CliError, EXIT } from "../exit.ts";
import type { PackageSource } from "./source.ts";

const TEMPLATE = fileURLToPath(new URL("../../template/", import.meta.url));
const CLI_MANIFEST = new URL("../../package.json", import.meta.url);

/**
 * Writes a project that passes its own tests: a workflow, its steps, a test.
 *
 * @param folder - Absolute. Made if it is not there.
 * @throws {CliError} There is something in it; nothing was written.
 */
export async function createProject(folder: string, source: PackageSource): Promise<void> {
  await mustBeEmpty(folder);
  const name = packageName(basename(folder));
  const manifest = await manifestOf(name, source); // before anything is written
  await mkdir(folder, { recursive: true });
  await cp(TEMPLATE, folder, { recursive: true });
  await rename(join(folder, "gitignore"), join(folder, ".gitignore")); // npm would not pack it under its own name
  const readme = join(folder, "README.md");
  await writeFile(readme, (await readFile(readme, "utf8")).replace("{{name}}", name));
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

async function mustBeEmpty(folder: string): Promise<void> {
  const inside = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    if (error.code === "ENOTDIR") throw new CliError(`${folder} is a file; nothing was written.`, EXIT.usage);
    throw new CliError(`${folder} cannot be read; nothing was written.`, EXIT.usage, { cause: error });
  });
  const first = inside.find((entry) => entry !== ".git");
  if (first !== undefined)
    throw new CliError(`${folder} is not empty (it has ${first}); nothing was written. Name a new folder.`, EXIT.usage);
}

/** A folder's name as npm takes it: "My App" → "my-app". */
export function packageName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9-_.]+/g, "-")
    .replace(/^[-_.]+|-+$/g, "");
  return name.slice(0, 214) || "stepstream-project";
}

async function manifestOf(name: string, source: PackageSource): Promise<object> {
  const cli = JSON.parse(await readFile(CLI_MANIFEST, "utf8")) as Manifest;
  const ours = (...names: string[]) => Object.fromEntries(names.map((one) => [one, source.spec(one)]));
  const dependencies = {
    ...ours("@stepstream/coordinator", "@stepstream/sdk", "@stepstream/step-worker"),
    zod: "^4.0.0",
  };
  const devDependencies = {
    ...ours("@stepstream/cli", "@stepstream/lint", "@stepstream/testing"),
    "@types/node": "^24.0.0",
    oxlint: "^1.94.0",
    typescript: "^7.0.0",
  };
  const direct = new Set([...Object.keys(dependencies), ...Object.keys(devDependencies)]);
  const overrides = Object.entries(source.overrides).filter(([one]) => !direct.has(one));
  return {
    name,
    version: "0.1.0",
    private: true,
    type: "module",
    engines: cli.engines,
    scripts: {
      dev: "stepstream dev src/workflows.ts src/handlers.ts",
      pretest: "stepstream --version", // an old Node.js would find no test, and pass: it is refused here
      test: "node --test",
      lint: "oxlint",
      typecheck: "tsc",
    },
    dependencies,
    devDependencies,
    ...(overrides.length > 0 && { overrides: Object.fromEntries(overrides) }),
  };
}

interface Manifest {
  engines: object;
}
