import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FoundNatsServer } from "../find.ts";
import type { Machine } from "../machine.ts";
import { isAtLeast, NATS_VERSION, NATS_VERSION_MIN, parseVersion } from "../version.ts";

/** Where a fetched nats-server is kept. */
export function cachedBinary({ cache, platform }: Machine): string {
  return join(cache, "nats-server", NATS_VERSION, executable(platform));
}

export function executable(platform: NodeJS.Platform): string {
  return platform === "win32" ? "nats-server.exe" : "nats-server";
}

/**
 * Asks a nats-server for its version.
 *
 * @throws {Error} If it does not run, or is older than {@link NATS_VERSION_MIN}.
 */
export async function versionOf(machine: Machine, path: string): Promise<string> {
  const version = parseVersion(await machine.run(path, ["-v"]));
  if (!version) throw new Error(`${path} -v names no version`);
  if (!isAtLeast(version, NATS_VERSION_MIN)) throw new Error(`${version} is older than ${NATS_VERSION_MIN}`);
  return version;
}

/**
 * Lets `fetch` make a nats-server in a temporary folder, tries it, and moves it into the cache in one step, so that
 * several at once do no harm and a cut leaves nothing that looks whole.
 *
 * @param fetch - Gets an empty folder and returns the path of the binary in it.
 */
export async function intoCache(
  machine: Machine,
  source: string,
  fetch: (folder: string) => Promise<string>,
): Promise<FoundNatsServer> {
  const path = cachedBinary(machine);
  mkdirSync(machine.cache, { recursive: true });
  const folder = mkdtempSync(join(machine.cache, "fetching-"));
  try {
    const fetched = await fetch(folder);
    chmodSync(fetched, 0o755);
    const version = await versionOf(machine, fetched);
    mkdirSync(dirname(path), { recursive: true });
    const beside = join(dirname(path), `${process.pid}-${executable(machine.platform)}`);
    copyFileSync(fetched, beside);
    renameSync(beside, path);
    return { kind: "binary", path, version, source };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
