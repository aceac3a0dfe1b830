/** The settings of a durable consumer, which belong to all who take from it, on a real nats-server. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { LogRefusedError } from "@stepstream/contracts";
import { type Clock, type EventLog, systemClock } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { takeCommands } from "./bed.ts";

/** So much faster than the real one: what takes ten seconds takes two. */
const FASTER = 5;
const startedAt = systemClock.now();
const fast: Clock = {
  ...systemClock,
  now: () => startedAt + FASTER * (systemClock.now() - startedAt),
  setTimeout: (fn, ms) => systemClock.setTimeout(fn, ms / FASTER),
};

let server: TestServer;
let admin: NatsConnection;
let namespace: string;
let count = 0;
const logs: EventLog[] = [];
beforeAll(async () => {
  server = await startTestServer();
  admin = await connect({ servers: server.url });
});
beforeEach(() => {
  namespace = `leases-${process.pid.toString(36)}-${++count}`;
});
afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()));
});
afterAll(async () => {
  await admin?.close();
  await server?.stop();
});

async function open(): Promise<EventLog> {
  const log = await connectEventLog({ nats: server.url, namespace, partitions: 1, clock: fast });
  logs.push(log);
  return log;
}

async function api(name: string, body?: unknown): Promise<any> {
  const answer = await admin.request(`$JS.API.${name}`, body === undefined ? "" : JSON.stringify(body), {
    timeout: 5_000,
  });
  return answer.json();
}
const settings = async () => (await api(`CONSUMER.INFO.${namespace}_COMMANDS.step-charge`)).config;
const ackWaitMs = async () => (await settings()).ack_wait / 1_000_000;
async function edit(changes: object): Promise<void> {
  const config = { ...(await settings()), ...changes };
  const name = `CONSUMER.CREATE.${namespace}_COMMANDS.step-charge.${config.filter_subject}`;
  const { error } = await api(name, { stream_name: `${namespace}_COMMANDS`, config, action: "update" });
  expect(error).toBeUndefined();
}

describe("a consumer that two processes take from with different ack waits", () => {
  it("gets a longer one at once, where nothing is in flight", async () => {
    const first = await takeCommands(await open(), "charge", { ackWaitMs: 2_000 });
    expect(await ackWaitMs()).toBe(2_000);
    const second = await takeCommands(await open(), "charge", { ackWaitMs: 8_000 });
    expect(await ackWaitMs()).toBe(8_000);
    expect([first.ackWaitMs, second.ackWaitMs]).toEqual([2_000, 8_000]);
  });

  it("keeps it while something is in flight; who holds it learns what comes; then it gets the shorter one", async () => {
    const log = await open();
    const changes: number[] = [];
    const holder = await takeCommands(log, "charge", { ackWaitMs: 30_000, onAckWait: (ms) => changes.push(ms) });
    await log.append(log.subjects.command("charge", "r", 1), "held");
    const held = await holder.came.nth(1);
    const eager = await takeCommands(await open(), "charge", { ackWaitMs: 1_000 });
    // From the start by what comes, also who asked for it.
    expect(eager.ackWaitMs).toBe(1_000);
    expect(await ackWaitMs()).toBe(30_000);
    const beat = setInterval(() => held.working(), 100);
    await expect.poll(() => holder.ackWaitMs, { timeout: 5_000 }).toBe(1_000);
    // All have had the time to read it, but it is still held.
    await new Promise((resolve) => setTimeout(resolve, 35_000 / FASTER));
    expect(await ackWaitMs()).toBe(30_000);
    clearInterval(beat);
    held.ack();
    await expect.poll(ackWaitMs, { timeout: 10_000 }).toBe(1_000);
    expect(changes).toEqual([1_000]);
    expect([...holder.came.all, ...eager.came.all]).toHaveLength(1);
  });

  it("has an operator's, once it is read", async () => {
    const log = await open();
    const holder = await takeCommands(log, "charge", { ackWaitMs: 30_000 });
    await edit({ ack_wait: 2_000_000_000 });
    await log.append(log.subjects.command("charge", "r", 1), "held");
    const held = await holder.came.nth(1);
    await expect.poll(() => holder.ackWaitMs, { timeout: 3_000 }).toBe(2_000);
    held.ack();
  });
});

describe("the start of a process", () => {
  it("keeps what an operator has set for its consumer", async () => {
    await takeCommands(await open(), "charge", { ackWaitMs: 2_000 });
    await edit({ max_ack_pending: 77, description: "an operator's" });
    await takeCommands(await open(), "charge", { ackWaitMs: 4_000 });
    expect(await settings()).toMatchObject({ max_ack_pending: 77, description: "an operator's" });
  });

  it("sets right what would lose messages", async () => {
    const log = await open();
    await takeCommands(log, "charge", { ackWaitMs: 2_000 });
    await edit({ max_deliver: 5, backoff: [1_000_000_000] });
    await takeCommands(await open(), "charge", { ackWaitMs: 2_000 });
    const { max_deliver, backoff, filter_subject } = await settings();
    expect({ max_deliver, backoff, filter_subject }).toEqual({
      max_deliver: -1,
      backoff: undefined,
      filter_subject: log.subjects.all.commandsOfStep("charge"),
    });
  });

  it("refuses a consumer that is of no use, and says what to do", async () => {
    const log = await open();
    const config = { durable_name: "step-charge", ack_policy: "none", deliver_policy: "all", replay_policy: "instant" };
    await log.remove(log.subjects.command("charge", "r", 1));
    await api(`CONSUMER.CREATE.${namespace}_EVENTS.step-charge`, { stream_name: `${namespace}_EVENTS`, config });
    const taking = takeCommands(log, "charge", { stream: "EVENTS", ackWaitMs: 2_000 });
    await expect(taking).rejects.toThrow(LogRefusedError);
    await expect(taking).rejects.toThrow(/its ack_policy is none, and it must be explicit\. Delete it/);
  });
});
