/**
 * A small process that outlives its parent by a moment and takes the parent's servers with it.
 *
 * The parent writes lines: `+<pid>` a process runs (a negative pid is a process group, with all that is in it), `-<pid>`
 * it has ended, `folder <path>` remove this at the end. When the pipe closes, the parent is gone, however it went, and the
 * reaper kills what is left. Run as a program by `reaping.ts`; not imported.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const pids = new Set<number>();
const folders = new Set<string>();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith("+")) pids.add(Number(line.slice(1)));
  else if (line.startsWith("-")) pids.delete(Number(line.slice(1)));
  else if (line.startsWith("folder ")) folders.add(line.slice("folder ".length));
}

for (const pid of pids) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone by itself.
  }
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
