/** Streams and consumers that vanish under a log that is connected: deleted by hand, or with the server's disk. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as dial, type NatsConnection } from "@nats-io/transport-node";
import type { ConnectionChange, EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";

const NS = "shop";
const HEALED = { timeout: 10_000, interval: 20 };
const STREAMS = ["EVENTS", "COMMANDS", "TIMERS", "DEAD", "BLOBS"] as const;

let server: GuardedServer;
let nc: NatsConnection;
const logs: EventLog[] = [];

async function open(options: object = {}): Promise<EventLog> {
  const log = await connectEventLog({ nats: server.address, namespace: NS, timeoutMs: 3_000, ...options });
  logs.push(log);
  return log;
}
const jsm = () => jetstreamManager(nc, { checkAPI: false });
const info = async (name: string) => (await jsm()).streams.info(`${NS}_${name}`).catch(() => undefined);
const remove = async (name: string) => (await jsm()).streams.delete(`${NS}_${name}`);

describe.skipIf(noGuardedServer)("a stream that is lost", () => {
  beforeEach(async () => {
    server = await startGuardedServer("");
    nc = await dial({ servers: server.address, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  });
  afterEach(async () => {
    await Promise.all(logs.splice(0).map((log) => log.close()));
    await nc?.close();
    await server?.stop();
  });

  it.each<[string, (typeof STREAMS)[number], (log: EventLog) => Promise<unknown>]>([
    ["an append", "EVENTS", (log) => log.append(log.subjects.inboxFrom("client", "r1"), "{}")],
    ["a read", "EVENTS", (log) => log.read(log.subjects.inboxFrom("client", "r1"))],
    ["a fresh read", "EVENTS", (log) => log.last(log.subjects.inboxFrom("client", "r1"), { fresh: true })],
    ["a listing", "EVENTS", (log) => log.list("EVENTS", "shop.inbox.>")],
    ["a removal", "EVENTS", (log) => log.remove(log.subjects.inboxFrom("client", "r1"))],
    ["a consumer", "EVENTS", (log) => consume(log, "EVENTS", "inbox-0", "shop.inbox.0.>")],
    [
      "a command",
      "COMMANDS",
      (log) => log.append(log.subjects.command("a", "r1", 1), "{}", { expectLast: 0, ifLost: "fail" }),
    ],
    ["the progress of a consumer", "COMMANDS", (log) => log.progress("COMMANDS", "step-a")],
    ["a backlog", "COMMANDS", (log) => log.backlog("COMMANDS")],
    ["a timer", "TIMERS", (log) => log.setTimer("r1", 1, Date.now() + 60_000)],
    ["the end of a timer", "TIMERS", (log) => log.cancelTimer("r1", 1)],
    ["the time of a timer", "TIMERS", (log) => log.timerAt("r1", 1)],
    ["a dead letter", "DEAD", (log) => log.append(log.subjects.dead("-", "r1", 0), "{}")],
    ["a large append", "BLOBS", (log) => log.append(log.subjects.inboxFrom("client", "r1"), "x".repeat(600_000))],
  ])("is made again for %s, which succeeds; and is a refusal where it must not be made", async (_what, stream, act) => {
    const [log, reader] = [await open(), await open({ create: false })];
    await remove(stream);
    const refused = await act(reader).then(
      () => undefined,
      (error) => error,
    );
    expect(refused).toMatchObject({ code: "LOG_REFUSED", detail: { serverCode: 10059 } });
    expect(refused.message).toContain(`stream ${NS}_${stream} does not exist`);
    expect(await info(stream)).toBeUndefined();
    await act(log);
    expect(await info(stream)).toBeDefined();
    await act(reader).catch((error) => expect(error.code).not.toBe("LOG_REFUSED"));
  });

  const consume = (
    log: EventLog,
    stream: "EVENTS" | "COMMANDS" | "TIMERS",
    consumer: string,
    filter: string,
    onDelivery = () => {},
  ) => log.consume({ stream, consumer, filter, ackWaitMs: 1_000, demand: () => 10, onDelivery });

  it("is made again as it was", async () => {
    await open({ partitions: 3 });
    await (await jsm()).streams.update(`${NS}_EVENTS`, { max_bytes: 50_000_000, description: "ours" });
    // A process that knows nothing of what the first one was told.
    const log = await open({ replicas: 1 });
    await remove("EVENTS");
    await log.append(log.subjects.inboxFrom("client", "r1"), "{}");
    expect((await info("EVENTS"))!.config).toMatchObject({
      max_bytes: 50_000_000,
      description: "ours",
      metadata: { "stepstream.partitions": "3" },
    });
    expect((await open()).subjects.partitions).toBe(3);
  });

  it("is made again where nothing asks for it", async () => {
    const log = await open();
    const lost: string[][] = [];
    log.onStreamsLost!((streams) => lost.push([...streams]));
    await remove("DEAD");
    await expect.poll(() => info("DEAD"), HEALED).toBeDefined();
    await expect.poll(() => lost, HEALED).toEqual([["DEAD"]]);
  });

  it("is reported once to each process", async () => {
    const both = [await open(), await open()];
    const lost: string[][] = [[], []];
    for (const [i, log] of both.entries()) log.onStreamsLost!((streams) => lost[i]!.push(...streams));
    await remove("COMMANDS");
    await both[0]!.append(both[0]!.subjects.command("a", "r1", 1), "{}");
    await expect.poll(() => lost, HEALED).toEqual([["COMMANDS"], ["COMMANDS"]]);
    await remove("TIMERS");
    await expect
      .poll(() => lost, HEALED)
      .toEqual([
        ["COMMANDS", "TIMERS"],
        ["COMMANDS", "TIMERS"],
      ]);
  });

  it("is not one whose server was only restarted", async () => {
    const log = await open();
    const lost: string[] = [];
    log.onStreamsLost!((streams) => lost.push(...streams));
    let back = 0;
    log.onReconnect(() => back++);
    await log.append(log.subjects.inboxFrom("client", "r1"), "{}");
    await server.restart();
    await expect.poll(() => back, HEALED).toBe(1);
    // Of a stream that is really lost after that, the report comes by the same look.
    await remove("DEAD");
    await expect.poll(() => lost, HEALED).toEqual(["DEAD"]);
    expect(await log.read(log.subjects.inboxFrom("client", "r1"))).toHaveLength(1);
  });

  it("that may not be made again is named by the calls that need it", async () => {
    const deny = '{ publish: { deny: "$JS.API.STREAM.CREATE.>" } }';
    const users = `authorization { users: [ { user: boss, password: x }, { user: eva, password: x, permissions: ${deny} } ] }`;
    await Promise.all(logs.splice(0).map((log) => log.close()));
    await nc.close();
    await server.stop();
    server = await startGuardedServer(users);
    nc = await dial({ servers: server.address, user: "boss", pass: "x" });
    const boss = await open({ nats: `nats://boss:x@${server.address}` });
    const log = await open({ nats: `nats://eva:x@${server.address}`, timeoutMs: 1_000 });
    await boss.close();
    await remove("DEAD");
    const why = `stream ${NS}_DEAD does not exist, and could not be made`;
    await expect(log.append(log.subjects.dead("-", "r1", 0), "{}")).rejects.toThrow(why);
    await expect(log.last(log.subjects.dead("-", "r1", 0))).rejects.toThrow(why);
    const fresh = log.last(log.subjects.dead("-", "r1", 0), { fresh: true });
    await expect(fresh).rejects.toThrow("$JS.API.STREAM.CREATE.shop_DEAD");
  });

  it("with another number of partitions closes the log", async () => {
    await open({ partitions: 3 }).then((maker) => maker.close());
    const log = await open({ create: false });
    const changes: ConnectionChange[] = [];
    log.onConnection!((change) => changes.push(change));
    log.onStreamsLost!(() => {});
    for (const stream of STREAMS) await remove(stream);
    await open({ partitions: 5 });
    await expect
      .poll(() => changes.at(-1), HEALED)
      .toMatchObject({
        state: "closed",
        why: expect.stringContaining("with 5 partitions instead of 3"),
      });
    await expect(log.append(log.subjects.inboxFrom("client", "r1"), "{}")).rejects.toMatchObject({
      code: "LOG_UNAVAILABLE",
    });
    // The next log takes them as they are.
    const next = await log.reopen!();
    logs.push(next);
    expect(next.subjects.partitions).toBe(5);
  });

  it("with all others, for the server returns with an empty disk, is made again at once; consumers continue", async () => {
    const log = await open({ partitions: 2 });
    const lost: string[] = [];
    log.onStreamsLost!((streams) => lost.push(...streams));
    const came: string[] = [];
    await consume(log, "EVENTS", "inbox-0", "shop.inbox.>", () => came.push("message"));
    await consume(log, "COMMANDS", "step-a", "shop.command.a.>", () => came.push("command"));
    await log.append(log.subjects.inboxFrom("client", "r1"), "{}");
    await expect.poll(() => came).toEqual(["message"]);
    await server.returnEmpty();
    const backAt = performance.now();
    await expect.poll(() => lost.toSorted(), HEALED).toEqual(STREAMS.toSorted());
    came.length = 0;
    await log.append(log.subjects.inboxFrom("client", "r2"), "{}");
    await log.append(log.subjects.command("a", "r2", 1), "{}");
    await expect.poll(() => new Set(came), HEALED).toEqual(new Set(["message", "command"]));
    expect(performance.now() - backAt).toBeLessThan(10_000);
    expect((await info("EVENTS"))!.config.metadata).toMatchObject({ "stepstream.partitions": "2" });
  });

  it.each([
    ["EVENTS", "inbox-0", "shop.inbox.>", (log: EventLog) => log.append(log.subjects.inboxFrom("client", "r2"), "{}")],
    ["COMMANDS", "step-a", "shop.command.a.>", (log: EventLog) => log.append(log.subjects.command("a", "r2", 1), "{}")],
    ["TIMERS", "due", "shop.due.>", (log: EventLog) => log.setTimer("r2", 1, 0)],
  ] as const)("under a consumption continues it: %s", async (stream, consumer, filter, store) => {
    const log = await open();
    let came = 0;
    await consume(log, stream, consumer, filter, () => came++);
    await remove(stream);
    await store(log);
    await expect.poll(() => came, HEALED).toBeGreaterThan(0);
    // And where only the consumer is deleted.
    came = 0;
    await (await jsm()).consumers.delete(`${NS}_${stream}`, consumer);
    await expect.poll(() => came, HEALED).toBeGreaterThan(0);
  });
});
