/** `doctor` on processes that are missing, frozen, wrong or of different versions, and on work that waits. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, type CoordinatorOptions, createCoordinator } from "@stepstream/coordinator";
import { type EventLog, systemClock } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, fixed, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker, type WorkerOptions } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { stroll } from "../../e2e/outage/errands.ts";
import { Program } from "../../e2e/outage/programs.ts";
import { noGuardedServer, startGuardedServer } from "../../support/guarded.ts";
import { startTestServer, type TestServer } from "../../support/nats.ts";
import { cli } from "../scene.ts";
import { doctor, type Finding, SECONDS_MS } from "./scene.ts";

const numbers = { input: z.number(), output: z.number() };
const work = step("work", {
  ...numbers,
  concurrency: 1,
  retry: { maxAttempts: 50, backoff: fixed("10ms") },
  breaker: { failures: 2, cooldown: "10m" },
});
const order = workflow("order", numbers, (n, w) => w.run(work, n));
/** The same version, and not the same code. */
const changed = workflow("order", numbers, async (n, w) => 1 + (await w.run(work, n)));
const next = workflow("order", { ...numbers, version: 2 }, (n, w) => w.run(work, n));

let server: TestServer;
let nc: NatsConnection;
let namespace: string;
let log: EventLog;
let client: Client;
let count = 0;
const processes: { stop(options?: object): Promise<void> }[] = [];

beforeAll(async () => {
  server = await startTestServer();
  nc = await connectNats({ servers: server.url });
});
afterAll(async () => {
  await nc?.close();
  await server?.stop();
});
beforeEach(async () => {
  namespace = `doctor-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 2 });
  client = await connect({ log });
});
afterEach(async () => {
  for (const one of processes.splice(0)) await one.stop({ drainMs: 0 });
  await client.close();
  await log.close();
});

async function coordinate(
  workflows: CoordinatorOptions["workflows"] = [order],
  more: object = {},
): Promise<Coordinator> {
  const coordinator = await createCoordinator({ nats: server.url, namespace, workflows, ...more }).start();
  processes.push(coordinator);
  return coordinator;
}
async function serve(
  handler: (n: number) => number | Promise<number> = (n) => n,
  more: Partial<WorkerOptions> = {},
): Promise<Worker> {
  const logger = { info() {}, warn() {}, error() {} };
  const worker = await createWorker({ nats: server.url, namespace, logger, ...more })
    .handle(work, handler)
    .start();
  processes.push(worker);
  return worker;
}

/** What is wrong beside that there is one replica. */
async function wrong(args = ""): Promise<Finding[]> {
  const found = await doctor(server.url, namespace, `--accept durability ${args}`);
  expect(found.code).toBe(found.wrong.length > 0 ? 1 : 0);
  expect(found.tookMs).toBeLessThan(SECONDS_MS);
  for (const { todo } of found.wrong) expect(todo).toMatch(/\.$/);
  return found.wrong;
}
/** What `queue` prints, which tells the same about steps. */
async function queue(): Promise<string> {
  return (await cli("queue", { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace })).out;
}
const eventually = (args = "") => expect.poll(() => wrong(args), { interval: 200 });
const finding = (check: string, seen: RegExp, about?: string) =>
  expect.objectContaining({ check, seen: expect.stringMatching(seen), ...(about && { about }) });

describe("of coordinators, doctor finds", () => {
  it("nothing wrong where two have the same code", async () => {
    await Promise.all([coordinate(), coordinate()]);
    await serve();
    await eventually().toEqual([]);
  });

  it("that there is none, and which partitions wait for one", async () => {
    await client.start(order, 1);
    expect(await wrong()).toEqual([
      finding("coordinators", /^no coordinator answers$/),
      finding("partitions", /^[01] hold messages, and no coordinator takes them$/),
    ]);
  });

  it("that one has another workflow version", async () => {
    const [one] = await Promise.all([coordinate(), coordinate([order, next])]);
    expect(one).toBeDefined();
    expect(await wrong()).toEqual([finding("coordinators", /^order@2 is run by 1 of 2 coordinators, and not by \S+$/)]);
  });

  it("that one has other code under the same version", async () => {
    await Promise.all([coordinate(), coordinate([changed])]);
    expect(await wrong()).toEqual([
      finding("coordinators", /^order@1 has 2 different codes in \S+ \([0-9a-f]{16}\), \S+ \([0-9a-f]{16}\)$/),
    ]);
  });

  it("one of another release of Stepstream", async () => {
    await coordinate();
    const said = { v: 1, type: "WorkerPresence", worker: "old", steps: [], release: "0.0.9" };
    // No older release is at hand: what it would answer.
    const other = log.listen(log.subjects.rollCall, () => log.broadcast(log.subjects.workers, JSON.stringify(said)));
    expect(await wrong()).toEqual([
      finding("coordinators", /^processes run 2 releases of Stepstream: .*0\.0\.9: worker old/),
    ]);
    other.stop();
  });

  it("one that is frozen", async () => {
    const program = new Program("coordinator", { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace });
    try {
      await program.says(/ runs /);
      program.child.kill("SIGSTOP");
      await client.start(order, 1);
      const found = await wrong();
      expect(found).toContainEqual(finding("coordinators", /^no coordinator answers$/));
      expect(found[0]!.todo).toContain("blocked");
    } finally {
      await program.end("SIGKILL");
    }
  });
});

describe("of clocks, doctor finds", () => {
  it("a coordinator and a worker whose clocks are wrong", async () => {
    const off = (ms: number) => {
      const now = () => Date.now() + ms;
      return { ...systemClock, now, wall: now };
    };
    const coordinator = await coordinate([order], { clock: off(-5_000) });
    const worker = await serve((n) => n, { clock: off(120_000) });
    const found = await wrong();
    expect(found).toContainEqual(
      finding("clocks", /^12\d\.\d{3} s \(±\d+ ms\) ahead of the server$|^119\./, `clock of worker ${worker.name}`),
    );
    expect(found).toContainEqual(finding("clocks", /^[45]\.\d{3} s \(±\d+ ms\) behind the server$/));
    expect(found.filter(({ check }) => check === "clocks")).toHaveLength(2);
    expect(coordinator).toBeDefined();
  });
});

describe("of workers, doctor finds", () => {
  it("a step without one", async () => {
    await coordinate();
    await client.start(order, 1);
    await eventually().toContainEqual(finding("workers", /^1 command and no worker that answers$/, "step work"));
  });

  it("a step whose worker is frozen", async () => {
    await coordinate([stroll]);
    const program = new Program("step-worker", { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace });
    try {
      await program.says(/ is ready/);
      await eventually().toEqual([]);
      program.child.kill("SIGSTOP");
      const run = await client.start(stroll, 1);
      await eventually().toContainEqual(finding("workers", /^1 command and no worker that answers$/, "step walk"));
      program.child.kill("SIGCONT");
      await run.result();
      await eventually().toEqual([]);
    } finally {
      await program.end("SIGKILL");
    }
  });

  it("an open circuit breaker", async () => {
    await coordinate();
    const worker = await serve(() => Promise.reject(new Error("the far side is down")));
    const run = await client.start(order, 1);
    await eventually().toContainEqual(
      finding("workers", new RegExp(`^the circuit breaker is open in ${worker.name}$`), "step work"),
    );
    await run.terminate();
  });

  it("how long the oldest command waits", async () => {
    await coordinate();
    const { promise, resolve } = Promise.withResolvers<number>();
    await serve(() => promise);
    const runs = await Promise.all([1, 2, 3].map((n) => client.start(order, n)));
    await eventually("--max-wait 1s").toContainEqual(
      finding("waiting", /^the oldest command that no worker has taken is \d s old, of 2$/, "step work"),
    );
    // It is no fault by itself.
    expect(await wrong()).toEqual([]);
    resolve(1);
    await Promise.all(runs.map((run) => run.result()));
  });
});

describe("of consumers and streams, doctor finds", () => {
  it("one that an operator has paused, and commands that are not taken", async () => {
    await coordinate();
    await serve();
    const jsm = await jetstreamManager(nc);
    await jsm.consumers.pause(`${namespace}_COMMANDS`, "step-work", new Date(Date.now() + 3_600_000));
    expect(await wrong()).toEqual([finding("consumers", /^it is paused$/, "consumer step-work")]);
    expect(await queue()).toContain("work: its consumer is paused, and no command is taken.");
    await jsm.consumers.resume(`${namespace}_COMMANDS`, "step-work");
    await eventually().toEqual([]);
  });

  it.skipIf(noGuardedServer)("those that a limit of the account keeps a coordinator from making", async () => {
    const account =
      "accounts { A { jetstream: { max_consumers: 4 }, users: [ { user: a, password: a } ] } }\nno_auth_user: a";
    const small = await startGuardedServer(account);
    const coordinator = createCoordinator({ nats: small.address, namespace, workflows: [order] });
    try {
      void coordinator.start().catch(() => {});
      const look = async () => (await doctor(small.address, namespace)).wrong;
      await expect.poll(look).toContainEqual(finding("account", /^it has all of the 4 consumers that it may have$/));
      const found = await look();
      expect(found.filter(({ check }) => check === "consumers").length).toBeGreaterThan(10);
      expect(found.find(({ check }) => check === "consumers")!.todo).toContain("raise max_consumers");
    } finally {
      await coordinator.stop();
      await small.stop();
    }
  });

  it("commands that a purge with a subject has stranded", async () => {
    const jsm = await jetstreamManager(nc);
    const stream = `${namespace}_COMMANDS`;
    const js = jetstream(nc);
    const subject = (slot: number, name = "work") =>
      `${namespace}.command.${name}.${log.subjects.partition("r")}.r.${slot}`;
    await jsm.consumers.add(stream, {
      durable_name: "step-work",
      ack_policy: "explicit",
      filter_subject: `${namespace}.command.work.>`,
    });
    for (const slot of [1, 2, 3, 4, 5]) await js.publish(subject(slot), "{}");
    const taken = [];
    for await (const message of await (await js.consumers.get(stream, "step-work")).fetch({
      max_messages: 5,
      expires: 2_000,
    }))
      taken.push(message);
    for (const message of taken.slice(0, 2)) message.nak(60_000);
    for (const slot of [3, 4]) await jsm.streams.purge(stream, { filter: subject(slot) });
    await taken[4]!.ackAck();
    expect(await wrong()).toContainEqual(
      finding("stranded", /^2 commands will not reach a worker, such as .*\.command\.work\.\d\.r\.[12]$/),
    );
    expect(await queue()).toContain("work: 2 stored commands will not reach a worker.");
  });

  it.each(["EVENTS", "COMMANDS", "TIMERS", "DEAD", "BLOBS"])("a namespace without its %s", async (kind) => {
    await (await jetstreamManager(nc)).streams.delete(`${namespace}_${kind}`);
    const found = await wrong("coordinators");
    expect(found).toContainEqual(finding("streams", /^it does not exist$/, `stream ${namespace}_${kind}`));
    // Nothing else is blamed on a stream that is not there.
    expect(found.filter(({ check }) => check === "storage")).toEqual([]);
  });

  it("no namespace where there is no stream and no process", async () => {
    const none = await cli("doctor", { NATS_URL: server.url, STEPSTREAM_NAMESPACE: "nowhere" });
    expect(none).toMatchObject({ code: 3, out: "" });
    expect(none.err).toContain("nowhere");
  });
});

describe("of runs, doctor finds", () => {
  it("those that are parked, and why", async () => {
    await coordinate();
    const run = await client.start(next, 1, { id: "parked-1" });
    await eventually().toContainEqual(finding("parked", /^1 run is parked: parked-1 \(UNKNOWN_WORKFLOW\)$/));
    await run.terminate();
    await eventually().toEqual([]);
  });

  it("new dead letters", async () => {
    await coordinate();
    await nc.request(`${log.subjects.inboxFrom("client", "garbage")}`, '{"v":1,"type":"Nonsense"}');
    await eventually().toContainEqual(finding("dead-letters", /^1, the last (just now|\d+ s ago)$/));
  });
});
