import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Finds the processes that a test has started, and theirs: all inherit a mark in their environment. Linux only. */
export function mark() {
  const name = "STEPSTREAM_TEST_MARK";
  const value = crypto.randomUUID();

  /** What still runs of them, as their command lines. */
  async function running(): Promise<string[]> {
    const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
    const found = await Promise.all(
      pids.map(async (pid) => {
        const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
        if (!environment.includes(`${name}=${value}`)) return [];
        return [(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim()];
      }),
    );
    return found.flat();
  }

  return {
    env: { [name]: value },
    running,
    /** Waits for their end, which nobody tells a process that is not their parent. @returns Those that do not end. */
    async left(timeoutMs = 10_000): Promise<string[]> {
      const until = Date.now() + timeoutMs;
      let still = await running();
      while (still.length > 0 && Date.now() < until) {
        await sleep(50);
        still = await running();
      }
      return still;
    },
  };
}
