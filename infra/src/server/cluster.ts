import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../find.ts";
import { untilReady } from "./ready.ts";
import { tellReaper } from "./reaping.ts";

const HOST = "127.0.0.1";
const NODES = [0, 1, 2] as const;

export interface ClusterOptions {
  /** `sync_interval` of each server. Default: two minutes, as nats-server has it. */
  sync?: readonly ("2m" | "always")[];
  /** `server_tags` of each server. Default: none. */
  tags?: readonly (readonly string[])[];
}

/** Three nats-servers that are one cluster, named n0, n1 and n2, as child processes. */
export interface NatsCluster {
  readonly urls: readonly string[];
  /** Their monitoring ports. */
  readonly monitors: readonly string[];
  readonly pids: readonly number[];
  /** Ends one with SIGKILL. */
  kill(index: number): Promise<void>;
  /** Starts one that was killed, on its old port and store. */
  restart(index: number): Promise<void>;
  /** Ends all and removes their stores. */
  stop(): Promise<void>;
}

/**
 * Starts three servers with JetStream; resolves once each answers. They may not have a leader yet: what needs one is refused
 * as unavailable until then. They end with this process.
 *
 * @returns undefined where nats-server can only be run in Docker.
 */
export async function startNatsCluster({
  sync = [],
  tags = [],
}: ClusterOptions = {}): Promise<NatsCluster | undefined> {
  // biome-ignore lint/style/noProcessEnv: a server of its own, whatever NATS_URL says
  const { NATS_URL: _, ...env } = process.env;
  const found = await findNatsServer({ env });
  if (found.kind !== "binary") return undefined;
  const folder = mkdtempSync(join(tmpdir(), "stepstream-cluster-"));
  tellReaper(`folder ${folder}`);
  const ports = await freePorts(3 * NODES.length);
  const [clients, routes, monitors] = [ports.slice(0, 3), ports.slice(3, 6), ports.slice(6)];
  const start = (index: number) => {
    const file = join(folder, `${index}.conf`);
    // In quotes: without, nats-server takes 2m for two million seconds.
    writeFileSync(
      file,
      `jetstream { sync_interval: "${sync[index] ?? "2m"}", store_dir: "${join(folder, `${index}`)}" }\n` +
        `server_tags: ${JSON.stringify(tags[index] ?? [])}\n`,
    );
    const child = spawn(
      found.path,
      [
        ["-c", file, "--name", `n${index}`, "-a", HOST, "-p", `${clients[index]}`, "-m", `${monitors[index]}`],
        ["--cluster_name", "test", "--cluster", `nats://${HOST}:${routes[index]}`],
        ["--routes", routes.map((port) => `nats://${HOST}:${port}`).join(",")],
      ].flat(),
      { stdio: "ignore" },
    );
    child.once("spawn", () => tellReaper(`+${child.pid}`));
    child.once("exit", () => tellReaper(`-${child.pid}`));
    return child;
  };
  const children = NODES.map(start);
  await Promise.all(clients.map((port) => untilReady({ host: HOST, port })));
  return {
    urls: clients.map((port) => `nats://${HOST}:${port}`),
    monitors: monitors.map((port) => `http://${HOST}:${port}`),
    get pids() {
      return children.map(({ pid }) => pid!);
    },
    kill: (index) => ended(children[index]!),
    async restart(index) {
      await ended(children[index]!);
      children[index] = start(index);
      await untilReady({ host: HOST, port: clients[index]! });
    },
    async stop() {
      await Promise.all(children.map(ended));
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      server.listen(0, HOST);
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
