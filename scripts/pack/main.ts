/**
 * Packs all packages that are not private: compiles them, and makes a tarball of each, as `npm publish` would take it.
 *
 *   npm run pack [-- --out <folder>]      default: dist/packages
 *   node scripts/pack/main.ts --image <folder> --modules <workspace>    what the container image holds, see image.ts
 *
 * A tarball has the JavaScript and its types in `dist`, the sources that their maps point to in `src`, and what `files`
 * of the manifest names beside. It is made in a staging folder (dist/staging): the workspace stays as it is.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { layOutImage } from "./image.ts";
import { type Manifest, packedManifest, type Versions } from "./manifest.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILD = join(ROOT, "dist", "build");
const STAGING = join(ROOT, "dist", "staging");

const { values } = parseArgs({
  options: {
    out: { type: "string", default: join(ROOT, "dist", "packages") },
    image: { type: "string" },
    modules: { type: "string", default: ROOT },
  },
});
const out = resolve(values.out);
const packages = await publishable();
const versions: Versions = {
  workspace: Object.fromEntries(packages.map(({ manifest }) => [manifest.name, manifest.version])),
  catalog: parse(await readFile(join(ROOT, "pnpm-workspace.yaml"), "utf8")).catalog,
};
await rm(join(ROOT, "dist"), { recursive: true, force: true });
await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", join(ROOT, "scripts/pack")]);
const staged = await Promise.all(packages.map(stage));
if (values.image) {
  const inImage = packages.map((one, i) => ({ ...one, staged: staged[i]! }));
  await layOutImage(inImage, resolve(values.modules), resolve(values.image));
} else {
  await mkdir(out, { recursive: true });
  await run("npm", ["pack", ...staged, "--pack-destination", out, "--silent"]);
}

interface Package {
  /** From the root, e.g. "packages/sdk". */
  folder: string;
  manifest: Manifest;
}

async function publishable(): Promise<Package[]> {
  const below = async (parent: string) => (await readdir(join(ROOT, parent))).map((name) => `${parent}/${name}`);
  const folders = [...(await below("packages")), ...(await below("services")), "infra"];
  const all = await Promise.all(
    folders.map(async (folder) => ({
      folder,
      manifest: JSON.parse(await readFile(join(ROOT, folder, "package.json"), "utf8")) as Manifest,
    })),
  );
  return all.filter(({ manifest }) => !manifest.private);
}

/** @returns The folder that npm packs. */
async function stage({ folder, manifest }: Package): Promise<string> {
  const from = join(ROOT, folder);
  const to = join(STAGING, basename(folder));
  await cp(join(BUILD, folder, "src"), join(to, "dist"), { recursive: true });
  // JSON that is imported. The compiler (7.0.2) writes it at one time, and at another it does not.
  for (const file of await readdir(join(from, "src"), { recursive: true }))
    if (file.endsWith(".json")) await cp(join(from, "src", file), join(to, "dist", file));
  for (const file of await readdir(join(to, "dist"), { recursive: true }))
    if (file.endsWith(".map")) await stageSource(from, to, join(to, "dist", file));
  for (const name of manifest.files ?? [])
    if (name !== "dist" && name !== "src") await cp(join(from, name), join(to, name), { recursive: true });
  await cp(join(ROOT, "LICENSE"), join(to, "LICENSE"));
  await writeFile(join(to, "README.md"), readme(manifest));
  await writeFile(join(to, "package.json"), `${JSON.stringify(packedManifest(manifest, versions), undefined, 2)}\n`);
  return to;
}

/** Brings the source that a map is of, and points the map to where it is now. */
async function stageSource(from: string, to: string, mapFile: string): Promise<void> {
  const source = relative(join(to, "dist"), mapFile).replace(/(\.d)?\.[jt]s\.map$/, ".ts");
  await cp(join(from, "src", source), join(to, "src", source));
  const map = JSON.parse(await readFile(mapFile, "utf8"));
  map.sources = [relative(dirname(mapFile), join(to, "src", source)).replaceAll("\\", "/")];
  await writeFile(mapFile, JSON.stringify(map));
}

function readme({ name, description }: Manifest): string {
  return `# ${name}\n\n${description}\n\nA part of Stepstream: runs multi-step jobs to their end over NATS JetStream, whatever crashes.\n`;
}

async function run(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32" && command === "npm", // there it is npm.cmd
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${basename(command)} ${basename(args[0]!)} failed with exit code ${code}.`);
}
