/** How soon what has gone missing is stored again, with the settings that coordinators have by default: within 10 s. */
import { connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, step, workflow } from "@stepstream/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const RUNS = 40;
const HEALED_MS = 10_000;
const int = { input: z.int(), output: z.int() };
const never = step("never", int);
const queued = workflow("queued", int, (n, w) => w.run(never, n));
const sleeper = workflow("sleeper", int, async (n, w) => {
  await w.sleep("24h");
  return n;
});
const listener = workflow("listener", { ...int, signals: { go: z.int() } }, (_n, w) => w.waitFor("go"));

let server: TestServer;
let bus: NatsConnection;
let log: EventLog;
let client: Client;
let namespace: string;
let coordinators: Coordinator[];
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
  bus = await connectNats({ servers: server.url });
});
afterAll(async () => {
  await bus?.close();
  await server?.stop();
});
beforeEach(async () => {
  namespace = `heals-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  coordinators = [await coordinate(), await coordinate()];
});
afterEach(async () => {
  await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
  await log.close();
});

const coordinate = () =>
  createCoordinator({ nats: server.url, namespace, workflows: [queued, sleeper, listener] }).start();
const start = (what: typeof queued, ids: readonly string[]) =>
  Promise.all(ids.map((id, n) => client.start(what, n, { id })));
const ids = (name: string) => Array.from({ length: RUNS }, (_, i) => `${name}-${i}`);
const commands = async () => (await log.list("COMMANDS", log.subjects.all.commandsOfStep("never"))).size;
/** Without deadlines. */
const timers = async () => [...(await log.list("TIMERS", ">")).keys()].filter((s) => /\.timer\..*\.1$/.test(s)).length;

async function api(name: string, body: object = {}): Promise<void> {
  const answer = await bus.request(`$JS.API.${name}`, JSON.stringify(body), { timeout: 5_000 });
  expect(answer.json<{ error?: object }>().error).toBeUndefined();
}

async function healed(what: string, isHealed: () => Promise<boolean>): Promise<void> {
  const from = performance.now();
  await expect.poll(isHealed, { timeout: 3 * HEALED_MS, interval: 50 }).toBe(true);
  const ms = performance.now() - from;
  console.log(`${what}: healed after ${ms.toFixed(0)} ms`);
  expect(ms).toBeLessThan(HEALED_MS);
}

describe("within 10 s, with the settings by default", { timeout: 90_000 }, () => {
  it("commands that were purged, all and a single one, and whose stream was deleted, are there again", async () => {
    await start(queued, ids("q"));
    await expect.poll(commands).toBe(RUNS);
    await api(`STREAM.PURGE.${namespace}_COMMANDS`);
    await healed("a purge of COMMANDS", async () => (await commands()) === RUNS);
    await api(`STREAM.PURGE.${namespace}_COMMANDS`, { filter: log.subjects.command("never", "q-7", 1) });
    expect(await commands()).toBe(RUNS - 1);
    await healed("a purge of one command", async () => (await commands()) === RUNS);
    await api(`STREAM.DELETE.${namespace}_COMMANDS`);
    await healed("a deletion of COMMANDS", async () => (await commands().catch(() => 0)) === RUNS);
  });

  it("timers that were purged, all and a single one, are there again", async () => {
    await start(sleeper, ids("s"));
    await expect.poll(timers).toBe(RUNS);
    await api(`STREAM.PURGE.${namespace}_TIMERS`);
    await healed("a purge of TIMERS", async () => (await timers()) === RUNS);
    await api(`STREAM.PURGE.${namespace}_TIMERS`, { filter: log.subjects.timer("s-7", 1) });
    expect(await timers()).toBe(RUNS - 1);
    await healed("a purge of one timer", async () => (await timers()) === RUNS);
  });

  it("messages that were passed over are handled: under coordinators that are up, and by those that come", async () => {
    const runs = idsOfPartition(0, 16);
    await start(listener, runs);
    const pending = async () => (await log.backlog("EVENTS")).get("inbox-0")!;
    await expect.poll(pending).toEqual({ waiting: 0, taken: 0 });
    // Of these messages the coordinator gets some, and others are taken from it.
    const thief = await steal("inbox-0");
    const signalled = runs.slice(0, 12).map((id) => client.get(id).signal("go", 1));
    await expect.poll(() => thief.taken).toBeGreaterThan(0);
    await healed("messages that were passed over", async () => {
      await Promise.all(signalled);
      return true;
    });
    const taken = thief.taken;
    await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
    const late = runs.slice(12).map((id) => client.get(id).signal("go", 1));
    await expect.poll(() => thief.taken).toBe(taken + late.length);
    thief.stop();
    coordinators = [await coordinate(), await coordinate()];
    await healed("messages that were passed over before", async () => {
      await Promise.all(late);
      return true;
    });
  });
});

function idsOfPartition(partition: number, n: number): string[] {
  const found: string[] = [];
  for (let i = 0; found.length < n; i++) if (log.subjects.partition(`l-${i}`) === partition) found.push(`l-${i}`);
  return found;
}

/** Takes messages of a consumer and acknowledges them, beside whoever else takes from it. */
async function steal(consumer: string) {
  const inbox = `_steal.${consumer}`;
  const thief = { taken: 0, stop: () => sub.unsubscribe() };
  const sub = bus.subscribe(inbox, {
    callback: (_error, msg) => {
      if (!msg.reply) return;
      thief.taken++;
      msg.respond("+ACK");
    },
  });
  const ask = JSON.stringify({ batch: 100, expires: 60e9 });
  bus.publish(`$JS.API.CONSUMER.MSG.NEXT.${namespace}_EVENTS.${consumer}`, ask, { reply: inbox });
  await bus.flush();
  return thief;
}
