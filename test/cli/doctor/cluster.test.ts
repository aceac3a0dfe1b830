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
  cluster = (await startCluster({ sync: ["always", "always", "2m"] }))!;
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
    "a replica on a full disk, which lags until its server is restarted",
    async () => {
      await nc.request(`$JS.API.STREAM.LEADER.STEPDOWN.${EVENTS}`, '{"placement":{"preferred":"n0"}}');
      const jsm = await jetstreamManager(nc);
      await expect.poll(async () => (await jsm.streams.info(EVENTS)).cluster?.leader).toBe("n0");
      expect(await fillDisk(cluster.pids[2]!, 16_384)).toBe(true);
      for (let n = 0; n < 20; n++) await store(`${n}`);

      const { code, wrong, tookMs } = await look("coordinators durability");
      expect(code).toBe(1);
      expect(wrong).toContainEqual(
        expect.objectContaining({ about: "health of n2", seen: expect.stringMatching(/write error/) }),
      );
      expect(wrong).toContainEqual(
        expect.objectContaining({
          about: `replicas of ${EVENTS}`,
          seen: expect.stringMatching(/^the one on n2 is \d+ operations behind, and does not catch up$/),
          todo: expect.stringContaining("After a full disk, restart nats-server n2"),
        }),
      );
      expect(tookMs).toBeLessThan(SECONDS_MS);
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
    expect(tookMs).toBeLessThan(SECONDS_MS);
    // Without a monitoring port: as soon as the leader has noticed.
    await expect
      .poll(async () => (await look("coordinators durability health")).wrong)
      .toContainEqual(
        expect.objectContaining({
          about: `replicas of ${EVENTS}`,
          seen: expect.stringMatching(/^the one on n2 (is offline|has not answered for \d+ s)$/),
          todo: expect.stringContaining("Start nats-server n2"),
        }),
      );
  });

  it("streams without a leader, when two of three are down", async () => {
    await cluster.kill(1);
    const first = await look("coordinators durability");
    expect(first.code).toBe(1);
    expect(first.tookMs).toBeLessThan(SECONDS_MS);
    expect(first.wrong).toContainEqual(
      expect.objectContaining({
        about: `storage of ${EVENTS}`,
        seen: expect.stringContaining("a message was not stored"),
        todo: expect.stringContaining("the stream has no leader"),
      }),
    );
    // Once the one that is left has noticed that it leads nothing any more.
    await expect
      .poll(async () => (await look("coordinators durability")).wrong)
      .toContainEqual(
        expect.objectContaining({
          about: `replicas of ${EVENTS}`,
          seen: "no leader",
          todo: expect.stringContaining("more than half must be up"),
        }),
      );
  });
});
