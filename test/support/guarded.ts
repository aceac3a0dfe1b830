/** A nats-server that does not let everybody in, as a child process of the test: what it asks for is in its configuration. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findNatsServer, tellReaper } from "@stepstream/infra";

export interface GuardedServer {
  /** Where it listens: `127.0.0.1:<port>`. */
  readonly address: string;
  /** URL of its monitoring port, if the configuration has `http`; else empty. */
  readonly monitor: string;
  readonly pid: number;
  /** Gives it another configuration while it runs. */
  reload(config: string): Promise<void>;
  /** Ends it with SIGKILL, and starts it again on the same port with what is stored. */
  restart(): Promise<void>;
  /** Ends it with SIGKILL, and starts it again on the same port with an empty store. */
  returnEmpty(): Promise<void>;
  /** Ends it with SIGKILL and removes its store. */
  stop(): Promise<void>;
}

const { path, why } = await binary();
/** Why there is none here; undefined where there is one. */
export const noGuardedServer = why;
if (why) console.error(`!!! Tests on servers with TLS and credentials are NOT run: ${why}`);

async function binary(): Promise<{ path?: string; why?: string }> {
  const { NATS_URL: _, ...env } = process.env;
  const found = await findNatsServer({ env, log: (line) => console.error(line) });
  return found.kind === "binary" ? { path: found.path } : { why: "nats-server is to be had in Docker alone." };
}

/**
 * Starts one with JetStream on a free port; resolves once it is ready.
 *
 * @param config - What stands in its configuration beside the port and the store.
 * @param jetstream - What stands in its block "jetstream" beside the store.
 * @param onLine - Called with each line that it logs.
 * @throws {Error} It has ended before; with its last lines.
 */
export async function startGuardedServer(
  config: string,
  jetstream = "",
  onLine: (line: string) => void = () => {},
): Promise<GuardedServer> {
  const folder = await mkdtemp(join(tmpdir(), "stepstream-guarded-"));
  const file = join(folder, "nats.conf");
  const store = join(folder, "store");
  let listens = "127.0.0.1:-1";
  let current = config;
  const write = (more: string) => {
    current = more;
    const text = `listen: "${listens}"\njetstream { store_dir: ${JSON.stringify(store)}, ${jetstream} }\n${more}\n`;
    return writeFile(file, text);
  };
  let reloaded = () => {};
  let monitor = "";
  let child: ChildProcess;
  // Whatever becomes of the test, it does not outlive it.
  tellReaper(`folder ${folder}`);
  await start();

  async function start(): Promise<void> {
    await write(current);
    child = spawn(path!, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    tellReaper(`+${child.pid}`);
    const said: string[] = [];
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stderr! }).on("line", (line) => {
        onLine(line);
        said.push(line);
        if (said.length > 100) said.shift();
        const port = /Starting http monitor on (\S+)/.exec(line)?.[1];
        if (port) monitor = `http://${port}`;
        listens = /Listening for client connections on (\S+)/.exec(line)?.[1] ?? listens;
        if (line.includes("Server is ready")) resolve();
        if (line.includes("Reloaded server configuration")) reloaded();
      });
      child.once("error", reject);
      child.once("close", () => reject(new Error(`nats-server has ended:\n${said.slice(-5).join("\n")}`)));
    });
  }

  async function kill(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
    tellReaper(`-${child.pid}`);
  }

  return {
    address: listens,
    monitor,
    get pid() {
      return child.pid!;
    },
    async reload(more) {
      await write(more);
      const done = new Promise<void>((resolve) => {
        reloaded = resolve;
      });
      child.kill("SIGHUP");
      await done;
    },
    async restart() {
      await kill();
      await start();
    },
    async returnEmpty() {
      await kill();
      await rm(store, { recursive: true, force: true, maxRetries: 5 });
      await start();
    },
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
