import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Where `stepstream dev` says what it has started, in the folder of its data. */
const SAID = join(".stepstream", "dev.json");

/** The nats-server of a `stepstream dev` that runs in this folder now; undefined if none does. */
export async function devServer(cwd: string): Promise<string | undefined> {
  try {
    const { pid, nats } = JSON.parse(await readFile(join(cwd, SAID), "utf8")) as { pid?: number; nats?: string };
    if (!pid || !nats) return undefined;
    process.kill(pid, 0);
    return nats;
  } catch {
    return undefined; // Not there, half-written, or of a dev that has ended.
  }
}
