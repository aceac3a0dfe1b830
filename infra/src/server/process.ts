import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { NatsServer, StartOptions } from "../start.ts";
import { serverPort } from "./ports.ts";
import { untilReady } from "./ready.ts";
import { tellReaper } from "./reaping.ts";

const HOST = "127.0.0.1";
/** How long a server may take to shut down before it is killed. */
const GRACE_MS = 10_000;

/** Starts nats-server as a child of this process. */
export async function startProcess(
  path: string,
  { port = 0, storeDir, syncInterval = "2m", log = () => {} }: StartOptions,
): Promise<NatsServer> {
  const config = fileURLToPath(
    new URL(syncInterval === "always" ? "../../nats/dev-sync-always.conf" : "../../nats/dev.conf", import.meta.url),
  );
  const store = storeDir ?? mkdtempSync(join(tmpdir(), "stepstream-nats-"));
  if (!storeDir) tellReaper(`folder ${store}`);

  const launch = (onPort: number) =>
    launched(path, ["-c", config, "-a", HOST, "-p", String(onPort), "-sd", store], log);

  let chosen = port;
  let child: ChildProcess;
  for (let tries = 1; ; tries++) {
    if (port === 0) chosen = serverPort(Math.random());
    try {
      child = await launch(chosen);
      break;
    } catch (error) {
      if (port === 0 && error instanceof PortTakenError && tries < 20) continue;
      if (!storeDir) rmSync(store, { recursive: true, force: true });
      throw error;
    }
  }
  await untilReady({ host: HOST, port: chosen });

  const kill = () => ended(child, "SIGKILL");
  return {
    kind: "binary",
    url: `nats://${HOST}:${chosen}`,
    get pid() {
      return child.pid;
    },
    kill,
    async restart() {
      await ended(child, "SIGTERM");
      child = await launch(chosen);
      await untilReady({ host: HOST, port: chosen });
    },
    async stop() {
      await ended(child, "SIGTERM");
      if (!storeDir) rmSync(store, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

class PortTakenError extends Error {}

/** Resolves when the server says that it is ready, rejects when it ends before. */
async function launched(path: string, args: readonly string[], log: (line: string) => void): Promise<ChildProcess> {
  const child = spawn(path, args, {
    stdio: ["ignore", "ignore", "pipe"],
    detached: process.platform !== "win32", // Ctrl-C is for the parent, which then stops the server in its own order
    windowsHide: true,
  });
  const last: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr! }).on("line", (line) => {
      log(line);
      if (last.push(line) > 3) last.shift();
      if (line.includes("Server is ready")) resolve();
      if (line.includes("address already in use") || line.includes("Only one usage of each socket address")) {
        reject(new PortTakenError(`nats-server could not listen: ${line}`));
      }
    });
    child.once("error", reject);
    child.once("spawn", () => tellReaper(`+${child.pid}`));
    child.once("exit", (code, signal) => {
      tellReaper(`-${child.pid}`);
      // The last lines may still be in the pipe.
      child.once("close", () =>
        reject(new Error(`nats-server ended with ${signal ?? code} before it was ready:\n${last.join("\n")}`)),
      );
    });
  });
  return child;
}

async function ended(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  await exit;
  clearTimeout(timer);
}
