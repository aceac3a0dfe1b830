/**
 * Lays out what the container image holds, below a folder:
 *
 *   stepstream/packages/… services/… infra    our packages, compiled, each with the links to what it depends on
 *   stepstream/node_modules/.pnpm             packages of others, as in the lockfile
 *   stepstream/node_modules/<name>            links for the user's modules: every package of ours, and {@link SHARED}
 *   stepstream/health.cjs                     the health check
 *   stepstream/app                            where the user's modules go
 *   usr/local/bin/stepstream…                 the programs
 *
 * Node.js looks for an import of the user's in stepstream/app/node_modules first and then in stepstream/node_modules: so
 * modules work with nothing beside them, and with packages of their own as well.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import type { Manifest } from "./manifest.ts";

/** What the user's modules import that is not ours, and the package of ours that depends on it. */
const SHARED = { zod: "packages/sdk", "@opentelemetry/api": "packages/telemetry" };

/** It depends on all that the image is for. */
const ROOT_PACKAGE = "@stepstream/cli";

/** For compilers and debuggers: nothing that runs reads them. */
const DISPENSABLE = /\.(map|d\.[cm]?ts)$/;

/** A package of ours, and the folder where it is staged as npm would pack it. */
export interface StagedPackage {
  /** From the root of the workspace, e.g. "packages/sdk". */
  folder: string;
  manifest: Manifest;
  staged: string;
}

/**
 * @param modules - A copy of the workspace with its production dependencies, as pnpm lays them out (not hoisted).
 * @param into - The root of the image.
 */
export async function layOutImage(packages: readonly StagedPackage[], modules: string, into: string): Promise<void> {
  const home = join(into, "stepstream");
  const bin = join(into, "usr", "local", "bin");
  await Promise.all([join(home, "app"), bin].map((folder) => mkdir(folder, { recursive: true })));
  const verbatim = { recursive: true, verbatimSymlinks: true };
  await cp(join(modules, "node_modules", ".pnpm"), join(home, "node_modules", ".pnpm"), verbatim);
  for (const { folder, manifest, staged } of neededBy(ROOT_PACKAGE, packages)) {
    const installed = join(modules, folder, "node_modules");
    const to = join(home, folder);
    await cp(staged, to, { recursive: true });
    await rm(join(to, "src"), { recursive: true, force: true });
    if (existsSync(installed)) await cp(installed, join(to, "node_modules"), verbatim);
    await link(join(home, "node_modules", manifest.name), to);
    for (const [name, file] of Object.entries(manifest.bin ?? {}))
      await link(join(bin, basename(name)), join(to, file));
  }
  for (const [name, folder] of Object.entries(SHARED))
    await link(join(home, "node_modules", name), join(home, folder, "node_modules", name));
  await cp(join(modules, "infra", "docker", "health.cjs"), join(home, "health.cjs"));
  await prune(home);
}

/** Those of ours that one of ours depends on, itself included. */
export function neededBy<P extends Pick<StagedPackage, "manifest">>(name: string, packages: readonly P[]): P[] {
  const needed = new Set([name]);
  for (const one of needed)
    for (const dependency of Object.keys(
      packages.find(({ manifest }) => manifest.name === one)?.manifest.dependencies ?? {},
    ))
      needed.add(dependency);
  return packages.filter(({ manifest }) => needed.has(manifest.name));
}

/** A relative link, so that it leads to the same place where the image is mounted elsewhere. */
async function link(from: string, to: string): Promise<void> {
  await mkdir(dirname(from), { recursive: true });
  await symlink(relative(dirname(from), to), from);
}

/** Removes what is dispensable. Links are not followed. */
async function prune(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await prune(path);
    else if (entry.isFile() && DISPENSABLE.test(entry.name)) await rm(path);
  }
}
