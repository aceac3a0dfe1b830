import { type ChildProcess, spawn } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

let reaper: ChildProcess | undefined;

/** Tells this process's reaper, which is started with its first word. See `reaper.ts` for the words. */
export function tellReaper(word: string): void {
  if (!reaper) {
    const program = fileURLToPath(new URL(`./reaper${extname(import.meta.url)}`, import.meta.url));
    reaper = spawn(process.execPath, [program], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: process.platform !== "win32", // so that Ctrl-C does not reach it before it has done its work
      windowsHide: true,
    });
    reaper.on("error", () => {}); // without a reaper a killed parent leaves its servers: no reason to fail
    reaper.stdin!.on("error", () => {});
    reaper.unref();
    (reaper.stdin as unknown as { unref?: () => void }).unref?.();
  }
  reaper.stdin!.write(`${word}\n`);
}
