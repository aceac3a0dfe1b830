/** `doctor` on three servers, of which some are down, full, or sync too late. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import { noGuardedServer } from "../../support/guarded.ts";
import { doctor, fillDisk, SECONDS_MS } from "./scene.ts";

const NAMESPACE = "shop";
const EVENTS = `${NAMESPACE}_EVENTS`;

let cluster: Cluster;
let nc: NatsConnection;
beforeAll(async () => {
  if (noGuardedServer) return;
  cluster = (await startCluster(["always", "always", '"2m"']))!;
  nc = await connect({ servers: [...cluster.urls] });
  await (await connectEventLog({ nats: nc, namespace: NAMESPACE, partitions: 2, replicas: 3 })).close();
});
afterAll(async () => {
  await nc?.close();
  await cluster?.stop();
});

const look = (accept = "coordinators", at = 0) =>
  doctor(cluster.urls[at]!, NAMESPACE, `--accept ${accept} --monitor ${cluster.monitors.join(",")}`);
const store = (subject: string) =>
  nc.request(`${NAMESPACE}.attempts.0.nobody.${subject}`, "x".repeat(4_096), { timeout: 5_000 });

describe.skipIf(noGuardedServer)("on three servers, doctor finds", () => {
  it("one of them that syncs to disk every two minutes, with three replicas of each stream", async () => {
    const { code, wrong, all } = await look();
    expect(code).toBe(1);
    expect(wrong).toMatchObject([
      {
        check: "durability",
        seen: expect.stringMatching(/^3 replicas, synced to disk every 120 s on n2: a power cut of one server/),
        todo: expect.stringContaining("sync_interval: always"),
      },
    ]);
    expect(all.filter(({ check }) => check === "health")).toHaveLength(3);
    expect(all.find(({ check }) => check === "replicas")).toMatchObject({ level: "ok" });
  });

  it.skipIf(process.platform !== "linux")(
    "a replica on a full disk, that lags until its server is restarted",
    async () => {
      const jsm = await jetstreamManager(nc);
      const { cluster: raft } = await jsm.streams.info(EVENTS);
      const follower = raft!.replicas!.find(({ name }) => name !== raft!.leader)!.name;
      const index = Number(follower.slice(1));
      expect(await fillDisk(cluster.pids[index]!, 16_384)).toBe(true);
      for (let n = 0; n < 20; n++) await store(`${n}`);

      const { code, wrong, tookMs } = await look("coordinators durability", (index + 1) % 3);
      expect(code).toBe(1);
      expect(wrong).toContainEqual(
        expect.objectContaining({
          check: "health",
          about: `health of ${follower}`,
          seen: expect.stringMatching(/write error/),
        }),
      );
      expect(tookMs).toBeLessThan(SECONDS_MS);
      await fillDisk(cluster.pids[index]!, "unlimited");
    },
  );

  it("a replica whose server is down", async () => {
    await cluster.kill(2);
    const { code, wrong, tookMs } = await look("coordinators durability");
    expect(code).toBe(1);
    expect(wrong).toContainEqual(
      expect.objectContaining({
        check: "health",
        seen: expect.stringContaining(`no answer from ${cluster.monitors[2]}`),
      }),
    );
    const offline = wrong.filter(({ check, seen }) => check === "replicas" && seen === "the one on n2 is offline");
    expect(offline.map(({ about }) => about)).toContain(`replicas of ${EVENTS}`);
    expect(offline[0]!.todo).toContain("Start nats-server n2");
    expect(tookMs).toBeLessThan(SECONDS_MS);
  });

  it("streams without a leader, when two of three are down", async () => {
    await cluster.kill(1);
    const { code, wrong, tookMs } = await look("coordinators durability");
    expect(code).toBe(1);
    expect(wrong).toContainEqual(
      expect.objectContaining({
        check: "streams",
        about: `stream ${EVENTS}`,
        todo: expect.stringContaining("start the servers of the cluster that are down"),
      }),
    );
    expect(tookMs).toBeLessThan(SECONDS_MS);
  });
});
