/** Three nats-servers that are one cluster, as child processes of the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "@stepstream/infra";

export interface Cluster {
  /** All of them. */
  readonly urls: readonly string[];
  /** Their monitoring ports. */
  readonly monitors: readonly string[];
  readonly pids: readonly number[];
  /** Ends one, with SIGKILL. */
  kill(index: number): Promise<void>;
  /** Starts one that was killed on its old store. Resolves once it has caught up with the others. */
  restart(index: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts three servers with JetStream, n0, n1 and n2, and resolves once they have a leader.
 *
 * @param sync - `sync_interval` of each. Default: that of nats-server, two minutes.
 * @returns undefined, and says so, where there is no nats-server but in Docker.
 */
export async function startCluster(sync: readonly string[] = []): Promise<Cluster | undefined> {
  const env = { ...process.env };
  delete env.NATS_URL;
  const found = await findNatsServer({ env, log: (line) => console.error(line) });
  if (found.kind !== "binary") {
    console.error("!!! no cluster of three: nats-server is to be had in Docker alone");
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), "stepstream-cluster-"));
  const ports = await freePorts(9);
  const routes = ports.slice(3, 6).map((port) => `nats://127.0.0.1:${port}`);
  for (const [index, interval] of sync.entries())
    await writeFile(join(folder, `${index}.conf`), `jetstream { sync_interval: ${interval} }\n`);
  const start = (index: number) =>
    spawn(
      found.path,
      [
        ["-js", "-sd", join(folder, `${index}`), "--name", `n${index}`, "-a", "127.0.0.1", "-p", `${ports[index]}`],
        ["-m", `${ports[6 + index]}`, ...(sync[index] ? ["-c", join(folder, `${index}.conf`)] : [])],
        ["--cluster_name", "test", "--cluster", routes[index]!, "--routes", routes.join(",")],
      ].flat(),
      { stdio: "ignore" },
    );
  const children = [0, 1, 2].map(start);
  // Whatever becomes of the test, they do not outlive it.
  const reap = () => children.forEach((child) => void child.kill("SIGKILL"));
  process.once("exit", reap);
  const urls = ports.slice(0, 3).map((port) => `nats://127.0.0.1:${port}`);
  await untilLeader(urls);
  const monitors = ports.slice(6).map((port) => `http://127.0.0.1:${port}`);
  return {
    urls,
    monitors,
    get pids() {
      return children.map(({ pid }) => pid!);
    },
    kill: (index) => ended(children[index]!),
    async restart(index) {
      children[index] = start(index);
      await untilCurrent(monitors[index]!);
    },
    async stop() {
      await Promise.all(children.map(ended));
      process.off("exit", reap);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** A stream of three replicas can be made: the cluster is there. */
async function untilLeader(urls: readonly string[]): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      const nc = await connect({ servers: [...urls], timeout: 1_000 });
      try {
        const ask = { name: "PROBE", subjects: ["probe"], num_replicas: 3 };
        const made = await nc.request("$JS.API.STREAM.CREATE.PROBE", JSON.stringify(ask), { timeout: 2_000 });
        if (!("error" in made.json<object>())) {
          await nc.request("$JS.API.STREAM.DELETE.PROBE", "", { timeout: 2_000 });
          return;
        }
      } finally {
        await nc.close();
      }
    } catch {
      // Not yet.
    }
    if (Date.now() > deadline) throw new Error(`The cluster ${urls.join(", ")} has no leader after 30 s.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Its streams and consumers have all that the others have. */
async function untilCurrent(monitor: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const health = await fetch(`${monitor}/healthz`).catch(() => undefined);
    if (health?.ok) return;
    if (Date.now() > deadline) throw new Error(`The server of ${monitor} has not caught up after 30 s.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
