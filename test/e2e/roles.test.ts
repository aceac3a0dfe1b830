/**
 * Each role with a user of its own, and with the permissions that `stepstream namespace permissions` prints: it can do all of its
 * work, and all of its permissions are used by it.
 */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { type Client, connect } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { covers } from "../../packages/cli/src/permissions/covers.ts";
import { ROLES, type Role } from "../../packages/cli/src/permissions/need.ts";
import { roleUser } from "../../packages/cli/src/permissions/users.ts";
import { noGuardedServer } from "../support/guarded.ts";
import { Program } from "./outage/programs.ts";
import { NS, RoleServer, USERS, type Who } from "./roles/scene.ts";
import * as defined from "./roles/workflows.ts";
import { LARGE } from "./roles/workflows.ts";

/** Permissions that this test does not use, and why they are given all the same. */
const REASONS: readonly (readonly [role: Role | "*", allow: RegExp, reason: string])[] = [
  ["*", /^\$JS\.ACK\.\*\.\*\./, "nats-server with js_ack_fc_v2: see roles-attacks.test.ts"],
  ["worker", /DIRECT\.GET\..*_EVENTS$/, "looks up what was delivered before, if that was soon after it connected"],
  ["viewer", /CONSUMER\.INFO\..*_(EVENTS|TIMERS)\./, "doctor looks again at a consumer whose messages wait"],
  ["operator", /CONSUMER\.INFO\..*_(EVENTS|TIMERS)\./, "doctor looks again at a consumer whose messages wait"],
  ["operator", /DIRECT\.GET\..*_DEAD$/, "waits for what it sends as a client does"],
];

const MODULE = fileURLToPath(new URL("roles/workflows.ts", import.meta.url));
const SETTINGS = {
  ...{ shortTimerMs: 100, deadlineAfterMs: 300, graceMs: 500, idleMs: 1_000, presenceMs: 300 },
  ...{ auditMs: 150, unparkMs: 500, retentionMs: 300 },
};
const { special, item, order, counter, waiting, haunted, breaking } = defined;
const COMMON = [item, order, counter, waiting, haunted, breaking];

let roles: RoleServer;
let cache: string;
let client: Client;
let clientLog: EventLog;
let batch: Client;
const coordinators: Coordinator[] = [];
let workers: Worker[] = [];
let admin: NatsConnection;
/** What coordinators and workers were denied, by their own account. */
const events: string[] = [];

const run = (who: Who, args: string) => roles.cli(who, args, cache);
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
/** It ends with 0, and says this. */
async function prints(who: Who, args: string, what: RegExp | string = ""): Promise<string> {
  const { code, out, err } = await run(who, args);
  expect({ code, said: out + err }, `${who}: ${args}`).toEqual({ code: 0, said: expect.stringMatching(what) });
  return out;
}
/** What coordinators have stored again. */
const repairs: { run: string }[] = [];
const denied = (who: Who) => (event: { type: string }) => {
  if (event.type === "repaired") repairs.push(event as never);
  if (event.type === "denied") events.push(`${who}: ${JSON.stringify(event)}`);
};
const quiet = { info() {}, warn() {}, error() {}, debug() {} } as never;

async function startCoordinator(workflows: readonly never[] | typeof COMMON): Promise<void> {
  const nats = roles.options("coordinator");
  const options = { nats, namespace: NS, workflows: workflows as never, settings: SETTINGS };
  coordinators.push(await createCoordinator({ ...options, onEvent: denied("coordinator") }).start());
}
function workerOf(who: Who): Worker {
  const options = { nats: roles.options(who), namespace: NS, logger: quiet, ackWaitMs: 1_000 };
  return createWorker({ ...options, onEvent: denied(who) } as never);
}

describe.skipIf(noGuardedServer)("roles with users of their own", () => {
  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), "stepstream-roles-"));
    roles = await RoleServer.start();
    admin = await roles.connect("admin");
    await prints("operator", `namespace create ${NS} --partitions 16`, "is made");
  });
  afterAll(async () => {
    await client?.close();
    await clientLog?.close();
    await batch?.close();
    await Promise.all(workers.map((one) => one.stop({ drainMs: 0 })));
    await Promise.all(coordinators.map((one) => one.stop()));
    await admin?.close();
    await roles?.server.stop();
    await rm(cache, { recursive: true, force: true });
  });

  it("the programs take them from their environment, as the docs say", async () => {
    const port = await freePort();
    const program = new Program("coordinator", roles.env("coordinator"), ["--metrics-port", `${port}`], MODULE);
    try {
      await program.says(/ runs | is ready/);
      const metrics = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      await expect.poll(metrics, { timeout: 10_000 }).toMatch(/^stepstream_runs_parked\{[^}]*\} 0$/m);
      expect(program.text).not.toMatch(/denied/i);
    } finally {
      await program.end("SIGTERM");
    }
  });

  it("coordinators, workers and clients do all that they do", async () => {
    await startCoordinator(COMMON);
    await startCoordinator([...COMMON, special] as never);
    workers = await Promise.all([
      workerOf("charge")
        .handle(defined.charge, async ({ text }, ctx) => {
          ctx.heartbeat({ at: 1 });
          if (ctx.attempt === 1) throw new Error("never at first");
          return `${text}!`;
        })
        .handle(
          defined.hold,
          (_, ctx) => new Promise<void>((_, no) => ctx.signal.addEventListener("abort", () => no(ctx.signal.reason))),
        )
        .start(),
      workerOf("refund")
        .handle(defined.refund, ({ n }) => n)
        .handle(defined.broken, () => {
          throw new Error("the far side is down");
        })
        .start(),
    ]);
    clientLog = await roles.log("client");
    client = await connect({ log: clientLog });
    batch = await connect({ nats: roles.options("batch"), namespace: NS });

    const ordered = await client.start(order, { text: LARGE }, { id: "order-1" });
    const progress = ordered.result({ timeout: "30s" });
    await ordered.update("rename", "kim");
    expect(await ordered.query("name")).toBe("kim");
    await ordered.signal("approve", { by: "lee" });

    const counted = await client.start(counter, 1, { id: "counter-1" });
    for (const n of [1, 2, 0]) await counted.signal("more", n);
    const held = await client.start(waiting, { child: true }, { id: "waiting-1" });
    const doomed = await client.start(waiting, { child: false }, { id: "waiting-2" });
    const lonely = await client.start(haunted, {}, { id: "haunted-1" });
    await client.start(breaking, {}, { id: "breaking-1" });
    const specials = await Promise.all(
      Array.from({ length: 16 }, (_, n) => client.start(special, n, { id: `special-${n}` })),
    );
    expect(await progress).toEqual({ bytes: LARGE.length + 1, name: "kim", by: "lee", items: 3 });
    expect(await counted.result({ timeout: "20s" })).toBe(4);
    for (const [n, one] of specials.entries()) {
      expect(await one.query("n")).toBe(n);
      await one.signal("go", 1);
      expect(await one.result({ timeout: "20s" })).toBe(n + 1);
    }
    await expect.poll(async () => (await client.get("waiting-1-child").status()).status).toBe("running");
    await held.cancel({ timeout: "20s" });
    await expect(held.result({ timeout: "20s" })).rejects.toThrow(/cancelled/);
    await expect(client.get("waiting-1-child").result({ timeout: "20s" })).rejects.toThrow(/cancelled/);
    await doomed.terminate({ timeout: "20s" });
    // What is lost is stored again, also by a coordinator that takes over.
    const taken = await client.start(waiting, { child: false }, { id: "waiting-3" });
    await expect.poll(async () => (await run("viewer", "queue --json")).out).toMatch(/"step":"hold"[^}]*"taken":1/);
    await admin.request(`$JS.API.STREAM.PURGE.${NS}_TIMERS`, "");
    const repaired = () => repairs.some(({ run }) => run === "waiting-3");
    await expect.poll(repaired, { timeout: 10_000 }).toBe(true);
    await startCoordinator([...COMMON, special] as never);
    await Promise.all(coordinators.splice(0, 2).map((one) => one.stop()));
    await taken.cancel({ timeout: "20s" });
    await admin.close();
    await roles.server.restart();
    admin = await roles.connect("admin");
    const after = await client.start(item, 2, { id: "item-2" });
    expect(await after.result({ timeout: "30s" })).toBe(2);
    await lonely.cancel({ timeout: "20s" });
    expect((await batch.list()).map(({ id }) => id)).toContain("order-1");
  });

  it("what cannot be handled is parked, or a dead letter", async () => {
    const unknown = await client.start({ ...item, name: "unknown" } as typeof item, 1, { id: "parked-1" });
    await expect.poll(async () => (await unknown.status()).parked !== undefined, { timeout: 10_000 }).toBe(true);
    // One that waits looks for its message among the dead letters.
    await expect(unknown.cancel({ timeout: "3s" })).rejects.toThrow(/parked/);
    const nc = await roles.connect("client");
    const { subjects } = clientLog;
    await nc.request(subjects.inboxFrom("client", "order-1"), "garbage");
    await nc.close();
    // Content that is not there; and no content at all.
    const ref = { v: 1, type: "Ref", key: `order-1/${"0".repeat(64)}`, bytes: 300_000, chunk: 524_288 };
    const hdrs = headers();
    hdrs.set("Stepstream-Ref", "0".repeat(64));
    await admin.request(subjects.command("charge", "order-1", 77), JSON.stringify(ref), {
      headers: hdrs,
      timeout: 5_000,
    });
    await admin.request(subjects.command("refund", "order-1", 78), "garbage");
    await admin.request(
      subjects.journal("special-0"),
      JSON.stringify({ ...ref, key: ref.key.replace("order-1", "special-0") }),
      { headers: hdrs, timeout: 5_000 },
    );
    await client.get("special-0").history();
    await expect
      .poll(async () => (await run("viewer", "dead ls --json")).out.trim().split("\n").length, { timeout: 10_000 })
      .toBe(3);
  });

  it("a viewer sees everything", async () => {
    await prints("viewer", "ls", /order-1.*completed/);
    await prints("viewer", "show order-1", /completed/);
    await prints("viewer", "show waiting-3", /cancelled/);
    await prints("viewer", "history special-0", /BlobLost|not in the store/);
    await prints("viewer", "show breaking-1", /CIRCUIT BREAKER/);
    await prints("viewer", "history order-1", /StepCompleted/);
    await prints("viewer", "watch order-1");
    const soon = AbortSignal.timeout(1_500);
    await roles.cli("viewer", "watch breaking-1", cache, soon);
    await roles.cli("viewer", "history --follow breaking-1", cache, soon);
    await prints("viewer", "show breaking-1 --json");
    await prints("viewer", "queue", /broken/);
    await prints("viewer", "dead ls", /MALFORMED_MESSAGE/);
    await prints("viewer", `namespace info ${NS}`, /partitions +16/);
    const { out } = await run("viewer", "doctor --json --accept durability,dead-letters,parked,workers,coordinators");
    const findings = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(findings.filter(({ level }) => level === "error")).toEqual([]);
    expect(findings.filter(({ seen }) => seen.startsWith("not tried"))).toHaveLength(5);
  });

  it("an operator starts, changes and removes", async () => {
    await prints("operator", "ls --json", /order-1/);
    const id = (await prints("operator", "start item -i 1")).trim();
    await prints("operator", `result ${id}`, "1");
    await prints("operator", "start counter -i 1 --id counter-2");
    await prints("operator", "signal counter-2 more 0");
    await prints("operator", "result counter-2", "1");
    const large = JSON.stringify({ text: LARGE });
    const started = await roles.cli("operator", ["start", "order", "--id", "order-3", "-i", large], cache);
    expect(started.code).toBe(0);
    await prints("operator", "query order-3 name");
    await prints("operator", "cancel order-3");
    await prints("operator", "history special-0", /BlobLost|not in the store/);
    await prints("operator", "queue");
    await prints("operator", "show breaking-1");
    expect((await run("operator", "cancel parked-1 --timeout 3s")).err).toMatch(/parked/);
    await prints("operator", "delete counter-2 --yes");
    await prints("operator", "delete waiting-2 --yes");
    await prints("operator", "schedule create nightly item --every 1h -i 1");
    await prints("operator", "schedule trigger nightly");
    await prints("operator", "schedule ls", /nightly/);
    await prints("operator", "schedule delete nightly");
    const { out } = await run("operator", "doctor --json --accept durability,dead-letters,parked,workers,coordinators");
    const findings = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(findings.filter(({ level }) => level === "error")).toEqual([]);
    await prints("operator", `namespace update ${NS} --retain */completed=1s --placement-tag any`, "is changed");
    // Coordinators remove the run, and what is large of it.
    await expect.poll(async () => (await run("viewer", "show order-1")).code, { timeout: 15_000 }).toBe(3);
    await expect
      .poll(async () => [...(await clientLog.contents!.runs())].includes("order-1"), { timeout: 20_000 })
      .toBe(false);
  });

  it("nothing was denied to any of them, by the server's account and by their own", async () => {
    for (const who of ["coordinator", "charge", "refund"] as const) {
      const { role, steps } = USERS[who];
      const { code, out } = await run(who, `doctor --role ${role}${steps.map((step) => ` --steps ${step}`).join("")}`);
      expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining(`what these do: ${role}`) });
    }
    expect(clientLog.denials!()).toEqual([]);
    expect(events).toEqual([]);
    expect(roles.used.denied).toEqual([]);
  });

  it("an operator deletes the namespace", async () => {
    for (const one of coordinators.splice(0)) await one.stop();
    // One that gets no answer asks who is there.
    await expect(client.get("breaking-1").terminate({ timeout: "2s" })).rejects.toThrow(/No coordinator answers/);
    for (const one of workers.splice(0)) await one.stop({ drainMs: 0 });
    await prints("operator", `namespace delete ${NS} --yes --force`, "is deleted");
  });

  it.each(ROLES)("each permission of a %s is used by the work of its role, or has a reason", (role) => {
    const those = (Object.keys(USERS) as Who[]).filter((who) => who !== "stranger" && USERS[who].role === role);
    const { permissions } = roleUser(NS, role);
    const unused = (["publish", "subscribe"] as const).flatMap((does) => {
      const used = those.flatMap((who) => [...roles.used.by(who, does)]);
      const covered = (allow: string) => {
        // Replies have a subject for each user.
        const its = allow.startsWith("_INBOX") && does === "subscribe" ? "_INBOX.>" : allow;
        return used.some((subject) => covers(its, subject));
      };
      return permissions[does].allow.filter((allow) => !covered(allow));
    });
    const without = unused.filter(
      (allow) => !REASONS.some(([its, what]) => (its === role || its === "*") && what.test(allow)),
    );
    expect(without).toEqual([]);
  });
});
