/** Three nats-servers that are one cluster, as child processes of the test. */
import { connect } from "@nats-io/transport-node";
import { type ClusterOptions, type NatsCluster, startNatsCluster } from "@stepstream/infra";

/** `restart` resolves once the server has caught up with the others. */
export type Cluster = NatsCluster;

/**
 * Starts three servers with JetStream, n0, n1 and n2, and resolves once they have a leader.
 *
 * @returns undefined, and says so, where there is no nats-server but in Docker.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster | undefined> {
  const cluster = await startNatsCluster(options);
  if (!cluster) {
    console.error("!!! no cluster of three: nats-server is to be had in Docker alone");
    return undefined;
  }
  await untilLeader(cluster.urls);
  return {
    ...cluster,
    get pids() {
      return cluster.pids;
    },
    async restart(index) {
      await cluster.restart(index);
      await untilCurrent(cluster.monitors[index]!);
    },
  };
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
