import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Where `stepstream dev` keeps what is of a project, in the project's folder. */
export const DEV_FOLDER = ".stepstream";

/** A `stepstream dev` that runs now. */
export interface DevServer {
  readonly url: string;
  /** The project's folder. */
  readonly folder: string;
}

/** The nats-server of a `stepstream dev` of this folder's project: of this folder, or the nearest above that has one. */
export async function devServer(cwd: string): Promise<DevServer | undefined> {
  for (const folder of upwards(cwd)) {
    const url = await runningIn(folder);
    if (url !== undefined) return { url, folder };
  }
  return undefined;
}

/**
 * The folder of the project that `cwd` is in: the nearest, itself or above, where `stepstream dev` has been; else the
 * nearest with a package.json; else `cwd`.
 */
export async function projectFolder(cwd: string): Promise<string> {
  for (const mark of [DEV_FOLDER, "package.json"])
    for (const folder of upwards(cwd)) if (await exists(join(folder, mark))) return folder;
  return cwd;
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // another user's
  }
}

async function runningIn(folder: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(folder, DEV_FOLDER, "dev.json"), "utf8");
    const { pid, nats } = JSON.parse(text) as { pid?: number; nats?: string };
    return pid && nats && isAlive(pid) ? nats : undefined;
  } catch {
    return undefined; // Not there, or half-written.
  }
}

function* upwards(from: string): Generator<string> {
  for (let folder = from; ; folder = dirname(folder)) {
    yield folder;
    if (dirname(folder) === folder) return;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
