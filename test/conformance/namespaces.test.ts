/** The administration of namespaces, on one server and on three. */
import { randomUUID } from "node:crypto";
import { type ConnectionOptions, connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import { NamespaceExistsError, NamespaceNotFoundError, retentionOf, Subjects } from "@stepstream/contracts";
import { connectEventLog, type Namespaces, openNamespaces, streamsOf } from "@stepstream/event-log/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli } from "../cli/scene.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";

let server: TestServer;
let nc: NatsConnection;
let namespaces: Namespaces;
beforeAll(async () => {
  server = await startTestServer();
  nc = await connectNats({ servers: server.url });
  namespaces = await openNamespaces({ nats: nc });
});
afterAll(async () => {
  await namespaces?.close();
  await nc?.close();
  await server?.stop();
});

const some = () => `ns-${randomUUID().slice(0, 8)}`;

async function config(name: string): Promise<Record<string, any> | undefined> {
  const answer = await nc.request(`$JS.API.STREAM.INFO.${name}`);
  return answer.json<{ config?: Record<string, any> }>().config;
}

describe("a namespace", () => {
  it("is made as asked for, and is what processes then connect to", async () => {
    const ns = some();
    const retention = retentionOf(["30d", "*/failed=90d"]);
    expect(await namespaces.create(ns, { partitions: 3, replicas: 1, retention })).toBe(true);
    const log = await connectEventLog({ nats: server.url, namespace: ns });
    expect(log.subjects.partitions).toBe(3);
    await log.close();
    const info = await namespaces.info(ns);
    expect(info).toMatchObject({ namespace: ns, partitions: 3, replicas: 1, retention, missing: [] });
    expect(info.streams.map(({ name }) => name)).toEqual(streamsOf(new Subjects(ns, 1), 1).map(({ name }) => name));
    expect(Math.abs(info.createdAt - Date.now())).toBeLessThan(60_000);
    expect(await namespaces.list()).toContain(ns);
  });

  it("that exists is the same again, and refused with other settings, of which none is changed (M1)", async () => {
    const ns = some();
    const settings = { partitions: 4, retention: retentionOf(["1d"]) };
    expect(await namespaces.create(ns, settings)).toBe(true);
    expect(await namespaces.create(ns, settings)).toBe(false);
    expect(await namespaces.create(ns)).toBe(false);
    const before = await namespaces.info(ns);
    for (const other of [{ partitions: 5 }, { retention: retentionOf(["2d"]) }, { retention: null }, { replicas: 3 }])
      await expect(namespaces.create(ns, { ...settings, ...other })).rejects.toThrow(NamespaceExistsError);
    expect(await namespaces.info(ns)).toEqual(before);
  });

  it("whose making was interrupted is completed by doing it again (M1)", async () => {
    const ns = some();
    await namespaces.create(ns, { partitions: 4 });
    for (const kind of ["COMMANDS", "TIMERS", "DEAD", "BLOBS"]) await nc.request(`$JS.API.STREAM.DELETE.${ns}_${kind}`);
    expect((await namespaces.info(ns)).missing).toHaveLength(4);
    expect(await namespaces.create(ns, { partitions: 4 })).toBe(false);
    expect((await namespaces.info(ns)).missing).toEqual([]);
  });

  it("keeps what is stored, and what an operator has set, when it is changed (M2)", async () => {
    const ns = some();
    await namespaces.create(ns, { partitions: 2 });
    const log = await connectEventLog({ nats: server.url, namespace: ns });
    await log.append(log.subjects.inboxFrom("client", "r"), "kept");
    const name = `${ns}_EVENTS`;
    const set = { ...(await config(name)), max_bytes: 50_000_000, description: "ours" };
    await nc.request(`$JS.API.STREAM.UPDATE.${name}`, JSON.stringify(set));

    await namespaces.update(ns, { retention: retentionOf(["order=1d,5"], true) });
    expect(await config(name)).toMatchObject({ max_bytes: 50_000_000, description: "ours" });
    expect((await namespaces.info(ns)).retention).toEqual(retentionOf(["order=1d,5"], true));
    expect((await namespaces.info(ns)).partitions).toBe(2);
    await namespaces.update(ns, { retention: null });
    expect((await namespaces.info(ns)).retention).toBeUndefined();
    expect(await log.last(log.subjects.inboxFrom("client", "r"))).toMatchObject({ text: "kept" });
    await log.close();
  });

  it("is deleted with all that is in it, also in two goes, and can be made again (M3)", async () => {
    const ns = some();
    await namespaces.create(ns, { partitions: 2 });
    for (const kind of ["COMMANDS", "TIMERS"]) await nc.request(`$JS.API.STREAM.DELETE.${ns}_${kind}`);
    await namespaces.remove(ns);
    await expect(namespaces.info(ns)).rejects.toThrow(NamespaceNotFoundError);
    for (const { name } of streamsOf(new Subjects(ns, 1), 1)) expect(await config(name), name).toBeUndefined();
    expect(await namespaces.list()).not.toContain(ns);
    expect(await namespaces.create(ns, { partitions: 7 })).toBe(true);
    expect((await namespaces.info(ns)).partitions).toBe(7);
  });

  it("that is not there is not made by a question, a change or a deletion", async () => {
    const ns = some();
    for (const act of [namespaces.info(ns), namespaces.update(ns, { retention: null }), namespaces.remove(ns)])
      await expect(act).rejects.toThrow(NamespaceNotFoundError);
    expect(await config(`${ns}_EVENTS`)).toBeUndefined();
  });

  it("of another maker is left alone: its streams are not ours", async () => {
    const ns = some();
    await nc.request(
      `$JS.API.STREAM.CREATE.${ns}_EVENTS`,
      JSON.stringify({ name: `${ns}_EVENTS`, subjects: [`${ns}.x`] }),
    );
    await expect(namespaces.remove(ns)).rejects.toThrow("was not made by Stepstream");
    await expect(namespaces.update(ns, { replicas: 1 })).rejects.toThrow("was not made by Stepstream");
    expect(await namespaces.list()).not.toContain(ns);
    expect(await config(`${ns}_EVENTS`)).toBeDefined();
  });

  it.each([
    [{ replicas: 2 }, "replicas"],
    [{ partitions: 0 }, "partitions"],
    [{ placement: {} }, "placement"],
    [{ retention: { v: 1, rules: [], archive: false } as never }, "retention"],
  ])("is refused with %o", async (settings, what) => {
    const ns = some();
    await expect(namespaces.create(ns, settings)).rejects.toThrow(what);
    expect(await config(`${ns}_EVENTS`)).toBeUndefined();
  });

  it("lists more streams than the server has on a page", async () => {
    const made = Array.from({ length: 60 }, () => some());
    for (const ns of made) await namespaces.create(ns, { partitions: 1 });
    expect(await namespaces.list()).toEqual(expect.arrayContaining(made));
    for (const ns of made) await namespaces.remove(ns);
  });
});

describe("on three servers", () => {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster?.stop());

  it("the number of copies can be changed, where processes are connected, and nothing is lost", async ({ skip }) => {
    if (!cluster) skip();
    const nats: ConnectionOptions = { servers: [...cluster!.urls] };
    const admin = await openNamespaces({ nats });
    const ns = some();
    await admin.create(ns, { replicas: 1, partitions: 2, placement: { cluster: "test" } });
    const log = await connectEventLog({ nats, namespace: ns });
    await log.append(log.subjects.inboxFrom("client", "r"), "kept", { expectLast: 0 });
    await admin.update(ns, { replicas: 3 });
    const info = await admin.info(ns);
    expect(info).toMatchObject({ replicas: 3, placement: { cluster: "test" } });
    // The streams choose their leaders.
    const ready = { replicas: 3, leader: expect.any(String), lagging: [] };
    await expect
      .poll(async () => (await admin.info(ns)).streams, { timeout: 20_000 })
      .toEqual(info.streams.map(() => expect.objectContaining(ready)));
    expect(await log.last(log.subjects.inboxFrom("client", "r"), { fresh: true })).toMatchObject({ text: "kept" });
    await expect(admin.update(ns, { placement: { cluster: "elsewhere" } })).rejects.toThrow();
    expect((await admin.info(ns)).placement).toEqual({ cluster: "test" });
    await log.close();
    await admin.close();
  }, 60_000);
});

describe("on three servers with tags", () => {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = await startCluster({ tags: [["ssd"], ["ssd", "west"], []] });
  });
  afterAll(() => cluster?.stop());

  it("streams are placed on those that have all the tags, and nowhere if there are too few", async ({ skip }) => {
    if (!cluster) skip();
    const env = { NATS_URL: cluster!.urls[0]! };
    const on = async (ns: string) => {
      const { out } = await cli(`namespace info ${ns} --json`, env);
      return new Set(JSON.parse(out).streams.map(({ leader }: { leader: string }) => leader));
    };
    const both = some();
    expect((await cli(`namespace create ${both} --placement-tag ssd west`, env)).code).toBe(0);
    await expect.poll(() => on(both)).toEqual(new Set(["n1"]));
    expect((await cli(`namespace info ${both}`, env)).out).toMatch(/^placement +tag ssd, tag west$/m);
    const one = some();
    expect((await cli(`namespace create ${one} --replicas 3 --placement-tag ssd`, env)).code).not.toBe(0);
    expect((await cli(`namespace info ${one}`, env)).code).toBe(3);
    // Moved while it exists.
    expect((await cli(`namespace update ${both} --placement-tag ssd`, env)).code).toBe(0);
    expect((await cli(`namespace info ${both}`, env)).out).toMatch(/^placement +tag ssd$/m);
  }, 60_000);
});
