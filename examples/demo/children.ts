import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** @throws {Error} It ended before it was ready. */
  readonly ready: Promise<void>;
  /** Asks it to end, and makes it after 8 s. Resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL: it gets no last words. Resolves when it is gone. */
  kill(): Promise<void>;
}

const PATIENCE_MS = 8_000;

/** Starts a module of this folder as a process of its own. */
export function startChild(name: string, module: string, args: string[]): Child {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), args, {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    // Their words go where ours go, but never into a result on stdout.
    stdio: ["ignore", process.stderr, process.stderr, "ipc"],
    // A Ctrl-C is for the demo, which ends them in order.
    detached: process.platform !== "win32",
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const ready = new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`${name} ended before it was ready (${signal ?? code})`)));
  });
  ready.catch(() => {}); // Whoever waits for it hears of it.
  return {
    name,
    pid: child.pid!,
    ready,
    async stop() {
      const force = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
      child.kill("SIGTERM");
      await gone.finally(() => clearTimeout(force));
    },
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
