import { spawn } from "node:child_process";
import { fstatSync } from "node:fs";

/**
 * Calls `gone` when the reader of a pipe goes away, without writing to it: `stepstream watch order-1 | head -1`.
 *
 * Node.js cannot wait for that. GNU `tail` can, on a pipe that is its standard output: it ends with SIGPIPE then. Where there
 * is no such `tail`, it shows with the next thing that is written.
 *
 * @param fd - The pipe's end to write to. Anything else than a pipe is not watched.
 */
export function whenReaderGone(fd: number, gone: () => void): void {
  if (!isPipe(fd)) return;
  // Should this process be killed, the reader gets its end of file within a second.
  const args = ["-f", `--pid=${process.pid}`, "/dev/null"];
  const tail = spawn("tail", args, { stdio: ["ignore", fd, "ignore"] });
  tail.on("error", () => {}); // There is none.
  tail.on("exit", (_code, signal) => {
    if (signal === "SIGPIPE") gone();
  });
  tail.unref();
  process.once("exit", () => tail.kill());
}

function isPipe(fd: number): boolean {
  try {
    return fstatSync(fd).isFIFO();
  } catch {
    return false;
  }
}
