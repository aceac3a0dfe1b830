import { setTimeout as sleep } from "node:timers/promises";
import type { StreamInfo } from "@nats-io/jetstream";
import { check, error, type Finding, ok } from "../check.ts";

/** Between two looks: a replica that is behind at both, and not catching up, is reported. */
const AGAIN_MS = 500;

/** Replicas hear from each other every second; a server that was killed is called offline only after minutes. */
const SILENT_MS = 5_000;

type Replicated = Pick<StreamInfo, "cluster"> & { name: string; replicas: number };

/** Whether each copy of each stream is up and up to date. */
export const replicas = check<{ first: readonly Replicated[]; second: readonly Replicated[] }>({
  name: "replicas",

  async look({ jsm, streams }) {
    const first = (await streams()).flatMap(({ found }) => (found && found.config.num_replicas > 1 ? [found] : []));
    if (first.length === 0) return { first: [], second: [] };
    const narrowed = ({ config, cluster }: StreamInfo): Replicated => ({
      name: config.name,
      replicas: config.num_replicas,
      ...(cluster && { cluster }),
    });
    await sleep(AGAIN_MS);
    const second = await Promise.all(first.map(({ config }) => jsm.streams.info(config.name)));
    return { first: first.map(narrowed), second: second.map(narrowed) };
  },

  judge({ first, second }) {
    if (second.length === 0) return [ok("replicas", "no stream has more than one")];
    const findings = second.flatMap((stream, at) => ofStream(stream, first[at]));
    return findings.length > 0 ? findings : [ok("replicas", "all are up and have everything")];
  },
});

function ofStream({ name, cluster, replicas }: Replicated, before: Replicated | undefined): Finding[] {
  const about = `replicas of ${name}`;
  if (!cluster?.leader)
    return [error(about, "no leader", "Start the servers of the cluster that are down: more than half must be up.")];
  const peers = cluster.replicas ?? [];
  const findings: Finding[] = [];
  if (peers.length + 1 < replicas)
    findings.push(
      error(
        about,
        `${peers.length + 1} of ${replicas} are placed`,
        "Add servers to the cluster: each copy needs its own.",
      ),
    );
  for (const peer of peers) {
    const was = before?.cluster?.replicas?.find((one) => one.name === peer.name);
    const silentMs = peer.active / 1_000_000;
    if (peer.offline || silentMs > SILENT_MS)
      findings.push(
        error(
          about,
          `the one on ${peer.name} ${peer.offline ? "is offline" : `has not answered for ${Math.round(silentMs / 1_000)} s`}`,
          `Start nats-server ${peer.name}. If it is lost for good: nats server raft peer-remove ${peer.name}, and add another.`,
        ),
      );
    else if (!peer.current && was && !was.current && (peer.lag ?? 0) >= (was.lag ?? 0))
      findings.push(
        error(
          about,
          `the one on ${peer.name} is ${(peer.lag ?? 0).toLocaleString("en")} operations behind, and does not catch up`,
          `Look at its log and its disk. After a full disk, restart nats-server ${peer.name}: until then it does not write.`,
        ),
      );
  }
  return findings;
}
