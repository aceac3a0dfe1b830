/** What users of the roles try beyond their permissions, and with what permissions cannot see. */
import {
  type ConnectionOptions,
  connect,
  headers,
  type NatsConnection,
  PermissionViolationError,
} from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { connect as connectClient } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noGuardedServer } from "../support/guarded.ts";
import { NS, OTHER, RoleServer, type Who } from "./roles/scene.ts";
import { MAY_PUBLISH, MAY_SUBSCRIBE, rows, WHO } from "./roles/tables.ts";
import { counter, item, refund, special } from "./roles/workflows.ts";

const QUIET = { info() {}, warn() {}, error() {}, debug() {} } as never;

let roles: RoleServer;
const open: NatsConnection[] = [];
beforeAll(async () => {
  if (noGuardedServer) return;
  roles = await RoleServer.start();
  for (const namespace of [NS, OTHER]) {
    const nats = await roles.connect("admin");
    open.push(nats);
    await (await connectEventLog({ nats, namespace, partitions: 1 })).close();
  }
});
afterAll(async () => {
  for (const nc of open) await nc.close();
  await roles?.server.stop();
});

async function as(who: Who, more: ConnectionOptions = {}): Promise<NatsConnection> {
  const nc = await connect({ ...roles.options(who), ...more });
  open.push(nc);
  return nc;
}

/** Those that the server denies: it says so before it answers the ping behind them. Nothing of it is valid, so nothing is done. */
async function denied(who: Who, does: "publish" | "subscribe", subjects: readonly string[]): Promise<Set<string>> {
  const nc = await as(who);
  const found = new Set<string>();
  const statuses = nc.status();
  const watching = (async () => {
    for await (const status of statuses)
      if (status.type === "error" && status.error instanceof PermissionViolationError) found.add(status.error.subject);
  })();
  const elsewhere = headers();
  elsewhere.set("Nats-Expected-Stream", "none");
  for (const subject of subjects) {
    if (does === "publish") nc.publish(subject, "{attack", { headers: elsewhere });
    else nc.subscribe(subject, { callback() {} });
  }
  await nc.flush();
  await nc.close();
  await watching;
  return found;
}

describe.skipIf(noGuardedServer)("what each role may do on the server", () => {
  it.each([
    ["publish", MAY_PUBLISH],
    ["subscribe", MAY_SUBSCRIBE],
  ] as const)("%s: is what the table says, and all else is denied", async (does, table) => {
    const all = rows(table);
    for (const [at, who] of WHO.entries()) {
      const refused = await denied(
        who,
        does,
        all.map(([subject]) => subject),
      );
      const expected = all.flatMap(([subject, may]) => (may[at] ? [] : [subject]));
      expect([...refused].sort(), who).toEqual(expected.sort());
    }
  });
});

describe.skipIf(noGuardedServer)("what permissions cannot see", () => {
  let coordinator: Coordinator;
  beforeAll(async () => {
    const options = { nats: roles.options("coordinator"), namespace: NS, workflows: [counter, item, special] as never };
    coordinator = await createCoordinator(options).start();
  });
  afterAll(() => coordinator?.stop());

  it("an answer that a client has sent to a journal, to the coordinators, or to who waits, changes nothing", async () => {
    const log = await roles.log("client");
    const client = await connectClient({ log });
    const run = await client.start(special, 1, { id: "forged-1" });
    expect(await run.query("n")).toBe(1);
    const { subjects } = log;
    const end = { type: "RunCompleted", output: 666 };
    const decision = { v: 1, type: "Decision", upTo: 1_000, by: "attacker", events: [end] };
    const ghost = { v: 1, type: "Presence", id: "ghost", workflows: [], at: Date.now() };
    const stored = async () => {
      const journal = subjects.journal("forged-1");
      return (await log.list("EVENTS", journal)).get(journal) ?? 0;
    };
    const before = await stored();
    const nc = await as("client");
    for (const [forged, to] of [
      [decision, subjects.journal("forged-1")],
      [decision, subjects.liveJournal("forged-1")],
      [ghost, subjects.presence],
    ] as const) {
      const source = subjects.inboxFrom("client", `source-${to.length}`);
      await nc.request(source, JSON.stringify(forged));
      nc.publish(`$JS.API.DIRECT.GET.${NS}_EVENTS.${source}`, "", { reply: to });
    }
    await nc.flush();
    // The server has stored it: permissions do not keep it from that.
    await expect.poll(stored).toBe(before + 1);
    expect((await run.status()).status).toBe("running");
    await run.signal("go", 1);
    expect(await run.result({ timeout: "20s" })).toBe(2);
    expect(coordinator.partitions).toEqual([0]);
    await client.close();
    await log.close();
  });

  it("a client cannot complete a step, and a worker cannot start or stop a run, by what they put into their messages", async () => {
    const log = await roles.log("client");
    const client = await connectClient({ log });
    const run = await client.start(counter, 1, { id: "claimed-1" });
    const terminate = { v: 1, type: "TerminateRequested", id: "t", after: 0 };
    const started = { v: 1, type: "RunStarted", id: "s", workflow: "counter", version: 1, input: 1 };
    const completed = { v: 1, type: "StepCompleted", slot: 1, step: "charge", attempt: 1, output: "x" };
    const worker = await as("charge");
    const sender = await as("client");
    await worker.request(`${NS}.inbox.0.claimed-1.worker`, JSON.stringify(terminate));
    await worker.request(`${NS}.inbox.0.claimed-2.worker`, JSON.stringify(started));
    await sender.request(`${NS}.inbox.0.claimed-1.client`, JSON.stringify(completed));
    const viewer = await roles.log("viewer");
    await expect
      .poll(async () => (await viewer.list("DEAD", `${NS}.dead.>`)).size, { timeout: 10_000 })
      .toBeGreaterThan(1);
    expect((await run.status()).status).toBe("running");
    await expect(client.get("claimed-2").status()).rejects.toThrow();
    await run.signal("more", 0);
    expect(await run.result({ timeout: "20s" })).toBe(1);
    for (const one of [viewer, log]) await one.close();
    await client.close();
  });

  it("headers that would remove, schedule or replace what is stored are refused", async () => {
    const nc = await as("client");
    const request = async (name: string, value: string, subject = `${NS}.inbox.0.headers.client`) => {
      const hdrs = headers();
      hdrs.set(name, value);
      return (await nc.request(subject, "{}", { headers: hdrs, timeout: 5_000 })).json<{ error?: object }>().error;
    };
    expect(await request("Nats-Rollup", "all")).toBeDefined();
    expect(await request("Nats-Rollup", "sub")).toBeDefined();
    expect(await request("Nats-Schedule", "@at 2020-01-01T00:00:00Z")).toBeDefined();
    expect(await request("Nats-TTL", "1s")).toBeDefined();
    // Content that is there stays as it is.
    expect(await request("X-Any", "1", `${NS}.blob.r.hash.1`)).toBeUndefined();
    expect(await request("X-Any", "1", `${NS}.blob.r.hash.1`)).toMatchObject({ err_code: 10077 });
  });

  it("a stream that is gone is made again by an operator, and coordinators and workers go on", async () => {
    const worker = await createWorker({ nats: roles.options("refund"), namespace: NS, logger: QUIET })
      .handle(refund, ({ n }) => n)
      .start();
    const client = await connectClient({ nats: roles.options("client"), namespace: NS });
    const [admin] = open;
    await admin!.request(`$JS.API.STREAM.DELETE.${NS}_COMMANDS`, "");
    const run = await client.start(item, 5);
    await expect.poll(() => roles.used.denied.some((line) => line.includes(`STREAM.CREATE.${NS}_COMMANDS`))).toBe(true);
    const made = await roles.cli("operator", `namespace create ${NS}`, "/nonexistent");
    expect(made).toMatchObject({ code: 0 });
    expect(await run.result({ timeout: "30s" })).toBe(5);
    await client.close();
    await worker.stop();
  });

  it("a worker gets nothing but commands of its own steps out of the consumer that it may make", async () => {
    const nc = await as("charge");
    const create = async (config: object) => {
      const subject = `$JS.API.CONSUMER.CREATE.${NS}_COMMANDS.step-charge.${NS}.command.charge.>`;
      const body = JSON.stringify({ stream_name: `${NS}_COMMANDS`, config, action: "create" });
      return (await nc.request(subject, body)).json<{ error?: { description: string } }>().error?.description;
    };
    expect(await create({ durable_name: "step-refund" })).toMatch(/name/);
    expect(await create({ durable_name: "step-charge", filter_subject: `${NS}.command.>` })).toMatch(/filter/);
    expect(await create({ durable_name: "step-charge", filter_subjects: [`${NS}.command.>`] })).toMatch(/filter/);
    const elsewhere = JSON.stringify({ stream_name: `${NS}_EVENTS`, config: { durable_name: "step-charge" } });
    const subject = `$JS.API.CONSUMER.CREATE.${NS}_COMMANDS.step-charge.${NS}.command.charge.>`;
    expect((await nc.request(subject, elsewhere)).json<{ error: object }>().error).toBeDefined();
  });
});

describe.skipIf(noGuardedServer)("a nats-server whose acknowledgements have their later form", () => {
  it("has workers and coordinators that may acknowledge", async () => {
    const later = await RoleServer.start("feature_flags { js_ack_fc_v2: true }");
    try {
      const nats = await later.connect("admin");
      await (await connectEventLog({ nats, namespace: NS, partitions: 2 })).close();
      const workflows = [item];
      const coordinator = await createCoordinator({
        nats: later.options("coordinator"),
        namespace: NS,
        workflows,
      }).start();
      const worker = await createWorker({ nats: later.options("refund"), namespace: NS })
        .handle(refund, ({ n }) => n)
        .start();
      const client = await connectClient({ nats: later.options("client"), namespace: NS });
      const run = await client.start(item, 7);
      expect(await run.result({ timeout: "20s" })).toBe(7);
      await client.close();
      await worker.stop();
      await coordinator.stop();
      await nats.close();
      for (const who of ["coordinator", "refund"] as const) {
        const acks = [...later.used.by(who, "publish")].filter((subject) => subject.startsWith("$JS.ACK."));
        expect(acks.length).toBeGreaterThan(0);
        for (const ack of acks) expect(ack.split("."), ack).toHaveLength(11);
      }
      expect(later.used.denied).toEqual([]);
    } finally {
      await later.server.stop();
    }
  });
});
