import { check, error, type Finding, ok, warn } from "../check.ts";
import type { Monitored } from "../monitor.ts";

interface Facts {
  /** Of the stream with the fewest. */
  replicas: number;
  /** Servers that hold a copy. */
  servers: number;
  monitored: readonly Monitored[];
  /** It is the server of a `stepstream dev`. */
  dev: boolean;
}

const ADVICE =
  "In production: three replicas and sync_interval: always (infra/nats/production-cluster.conf, and the table in " +
  "docs/guides/deploying.md). To live with it: --accept durability.";

/** Whether what is acknowledged outlasts a power cut and the loss of a machine. */
export const durability = check<Facts>({
  name: "durability",

  async look({ streams, monitored, dev }) {
    const found = (await streams()).flatMap(({ found }) => (found ? [found] : []));
    const names = new Set(
      found.flatMap(({ cluster }) => [cluster?.leader ?? "", ...(cluster?.replicas ?? []).map(({ name }) => name)]),
    );
    return {
      replicas: Math.min(...found.map(({ config }) => config.num_replicas)),
      servers: Math.max(1, names.size),
      monitored: await monitored(),
      dev,
    };
  },

  judge({ replicas, servers, monitored, dev }): Finding[] {
    if (!Number.isFinite(replicas))
      return [error("durability", "there is no stream", "See the findings about streams.")];
    const copies = replicas === 1 ? "one replica" : `${replicas} replicas`;
    const known = monitored.filter(({ sync }) => sync !== undefined);
    const lazy = known.filter(({ sync }) => sync !== "always");
    const synced = syncedAs(servers, known, lazy);
    const seen = `${copies}, ${synced}`;
    if (dev) return [ok("durability", `${seen}; this is a development server`)];
    if (replicas < 3 || lazy.length > 0)
      return [error("durability", `${seen}: ${lost(replicas, lazy.length > 0)}`, ADVICE)];
    if (known.length < servers)
      return [warn("durability", seen, "Pass --monitor with the monitoring port of each server.")];
    return [ok("durability", seen)];
  },
});

function syncedAs(servers: number, known: readonly Monitored[], lazy: readonly Monitored[]): string {
  if (lazy.length > 0) {
    const every = lazy.map(({ server, url, sync }) => `every ${sync} on ${server ?? url}`);
    return `synced to disk ${every.join(", ")}`;
  }
  if (known.length >= servers) return "synced to disk before each acknowledgement";
  if (known.length === 0) return "how often the server syncs to disk is not known";
  return `how often ${servers - known.length} of ${servers} servers sync to disk is not known`;
}

function lost(replicas: number, lazy: boolean): string {
  if (replicas >= 3)
    return "a power cut of one server with a partition of the network, or of all, can lose what was acknowledged";
  const machine =
    replicas === 1 ? "the loss of the machine loses everything" : "the loss of one server stops everything";
  return lazy ? `${machine}, and a power cut can lose what was acknowledged` : machine;
}
