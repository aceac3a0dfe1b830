import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CliError, EXIT } from "../exit.ts";

/**
 * Where a new project gets the packages of Stepstream from.
 *
 *   registry    an installed `stepstream`: its own version
 *   checkout    `stepstream` run from its sources: links to the folders of the checkout
 *   tarballs    `--packages <folder>`: what `npm run pack` made
 */
export interface PackageSource {
  readonly kind: "registry" | "checkout" | "tarballs";
  /** What package.json says for a package. */
  spec(name: string): string;
  /** Where npm finds packages that others depend on and no registry has. */
  readonly overrides: Readonly<Record<string, string>>;
}

/** Those that projects depend on by name; links to the checkout are made for no others. */
const PACKAGES = ["sdk", "coordinator", "step-worker", "testing"] as const;

const CLI = fileURLToPath(new URL("../../", import.meta.url));

export async function packageSource(tarballs: string | undefined, cwd: string): Promise<PackageSource> {
  if (tarballs !== undefined) return fromTarballs(resolve(cwd, tarballs));
  // Node.js strips types outside node_modules alone: so these are sources.
  if (import.meta.url.endsWith(".ts")) return fromCheckout();
  const { version } = JSON.parse(await readFile(join(CLI, "package.json"), "utf8")) as { version: string };
  return { kind: "registry", spec: () => `^${version}`, overrides: {} };
}

function fromCheckout(): PackageSource {
  // The rules are of no use to the command line itself, so it does not depend on them.
  const folders = new Map([
    ["@stepstream/cli", CLI],
    ["@stepstream/lint", join(CLI, "..", "lint")],
  ]);
  for (const name of PACKAGES) folders.set(`@stepstream/${name}`, folderOf(`@stepstream/${name}`));
  return { kind: "checkout", spec: (name) => `file:${folders.get(name)}`, overrides: {} };
}

/** @param name - Its `exports` name src/index.ts. */
function folderOf(name: string): string {
  return dirname(dirname(fileURLToPath(import.meta.resolve(name))));
}

async function fromTarballs(folder: string): Promise<PackageSource> {
  const files = await readdir(folder).catch((cause) => {
    throw new CliError(`--packages: ${folder} cannot be read.`, EXIT.usage, { cause });
  });
  const specs: Record<string, string> = {};
  for (const file of files) {
    const name = /^stepstream-(.+?)-\d+\.\d+\.\d+.*\.tgz$/.exec(file)?.[1];
    if (name) specs[`@stepstream/${name}`] = `file:${join(folder, file)}`;
  }
  return {
    kind: "tarballs",
    spec(name) {
      const found = specs[name];
      if (!found) throw new CliError(`--packages: ${folder} has no ${name}. "npm run pack" makes all.`, EXIT.usage);
      return found;
    },
    overrides: specs,
  };
}
