/**
 * What runs live by goes missing: by purges, by deletions by hand, all of it or single messages. Two coordinators find it and
 * store it again, and every run ends. And what no run has use for is removed.
 */
import { connect as connectNats, headers, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { type Coordinator, type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, fixed, type RunHandle, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const int = { input: z.int(), output: z.int() };
const double = step("double", int);
const flaky = step("flaky", { ...int, retry: { backoff: fixed(3_500) } });
const patient = step("patient", { ...int, timeout: { total: "8s" } });

const chain = workflow("chain", int, async (n, w) => w.run(double, await w.run(double, n)));
const fan = workflow("fan", int, async (n, w) => {
  const all = await w.all(Array.from({ length: 10 }, () => w.run(double, n)));
  return all.reduce((sum, one) => sum + one, 0);
});
const sleeper = workflow("sleeper", int, async (n, w) => {
  await w.sleep("6s");
  return n;
});
const retried = workflow("retried", int, (n, w) => w.run(flaky, n));
const limited = workflow("limited", int, async (n, w) => {
  try {
    return await w.run(patient, n);
  } catch {
    return -n;
  }
});
const parent = workflow("parent", int, async (n, w) => (await w.child(chain, n)) + 1);
const listener = workflow("listener", { ...int, signals: { go: z.int() } }, (_n, w) => w.waitFor("go"));
const large = workflow("large", { input: z.string(), output: z.int() }, async (text, w) =>
  w.run(double, text.length / 2),
);
const failure = { name: "Error", code: "ERROR", message: "" };
const workflows = [large, chain, fan, sleeper, retried, limited, parent, listener];

let server: TestServer;
let bus: NatsConnection;
let log: EventLog;
let client: Client;
let namespace: string;
let events: CoordinatorEvent[];
let coordinators: Coordinator[];
let worker: Worker | undefined;
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
  namespace = `audit-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  events = [];
  coordinators = [await coordinate(), await coordinate()];
});
afterEach(async () => {
  await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
  await worker?.stop({ drainMs: 0 });
  worker = undefined;
  await log.close();
});

function coordinate(more: { auditMs?: number } = {}): Promise<Coordinator> {
  const settings = { auditMs: 1_000, idleMs: 1_000, graceMs: 1_000, ...more };
  const onEvent = (event: CoordinatorEvent) => void events.push(event);
  return createCoordinator({ nats: server.url, namespace, workflows, settings, onEvent }).start();
}

async function work(): Promise<void> {
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats: server.url, namespace, logger })
    .handle(double, async (n) => 2 * n)
    .handle(flaky, async (n, { attempt }) => {
      if (attempt === 1) throw new Error("once");
      return n;
    })
    .start();
}

type Api = { error?: object; purged?: number };
const api = async (name: string, body: object = {}) =>
  (await bus.request(`$JS.API.${name}`, JSON.stringify(body), { timeout: 5_000 })).json<Api>();
const purge = async (stream: string, filter?: string) => {
  const purged = await api(`STREAM.PURGE.${namespace}_${stream}`, filter === undefined ? {} : { filter });
  expect(purged.error).toBeUndefined();
  return purged.purged ?? 0;
};
/** As `nats stream rmm` does it. */
const removeOne = async (subject: string) => {
  const { seq } = (await log.last(subject, { fresh: true }))!;
  const stream = log.subjects.streamName(log.subjects.streamOf(subject));
  expect((await api(`STREAM.MSG.DELETE.${stream}`, { seq })).error).toBeUndefined();
};
const listed = (stream: "COMMANDS" | "TIMERS", filter = ">") => log.list(stream, filter);
const repaired = () => events.flatMap((event) => (event.type === "repaired" ? [event] : []));
const swept = () => events.flatMap((event) => (event.type === "swept" ? [event] : []));

async function allEnd(runs: readonly RunHandle<number>[], outputs: readonly number[]): Promise<void> {
  expect(await Promise.all(runs.map((run) => run.result({ timeout: "40s" })))).toEqual(outputs);
}

async function nothingIsLeft(): Promise<void> {
  const left = async () => [...(await listed("COMMANDS")).keys(), ...(await listed("TIMERS")).keys()];
  await expect.poll(left, { timeout: 30_000, interval: 200 }).toEqual([]);
}

describe("commands that go missing", { timeout: 60_000 }, () => {
  it("all at once, by a purge: are published again, and every run ends", async () => {
    const runs = [
      ...(await Promise.all([1, 2, 3].map((n) => client.start(chain, n)))),
      await client.start(fan, 1),
      await client.start(parent, 5),
    ];
    await expect.poll(async () => (await listed("COMMANDS")).size).toBe(14);
    expect(await purge("COMMANDS")).toBe(14);
    // Where no worker is up, they are there again.
    await expect.poll(async () => (await listed("COMMANDS")).size, { timeout: 15_000 }).toBe(14);
    await work();
    await allEnd(runs, [4, 8, 12, 20, 21]);
    expect(repaired().length).toBe(5);
    await nothingIsLeft();
  });

  it("one by one: only those are published again", async () => {
    const run = await client.start(fan, 2, { id: "fan" });
    await expect.poll(async () => (await listed("COMMANDS")).size).toBe(10);
    await removeOne(log.subjects.command("double", "fan", 4));
    await removeOne(log.subjects.command("double", "fan", 9));
    await expect.poll(repaired, { timeout: 15_000 }).toHaveLength(1);
    expect(repaired()[0]).toMatchObject({
      run: "fan",
      missing: ["the command of slot 4 (step double)", "the command of slot 9 (step double)"],
    });
    await work();
    await allEnd([run], [40]);
  });

  it("under workers that are busy with them, and while their coordinator is replaced", async () => {
    await work();
    const runs = await Promise.all(Array.from({ length: 30 }, (_, n) => client.start(chain, n)));
    for (let i = 0; i < 5; i++) await purge("COMMANDS");
    await coordinators.pop()!.stop();
    await purge("COMMANDS");
    coordinators.push(await coordinate());
    await allEnd(
      runs,
      runs.map((_, n) => 4 * n),
    );
    await nothingIsLeft();
  });

  it("of runs that another coordinator had, while none is up", async () => {
    const runs = await Promise.all([1, 2, 3].map((n) => client.start(chain, n)));
    await expect.poll(async () => (await listed("COMMANDS")).size).toBe(3);
    await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
    await purge("COMMANDS");
    coordinators.push(await coordinate());
    await work();
    await allEnd(runs, [4, 8, 12]);
  });
});

describe("timers that go missing", { timeout: 60_000 }, () => {
  it("all at once, or one: of sleeps, retries and deadlines", async () => {
    await work();
    const runs = [
      await client.start(sleeper, 1, { id: "s1" }),
      await client.start(sleeper, 2, { id: "s2" }),
      await client.start(retried, 3),
      await client.start(limited, 4),
    ];
    // The deadline of a step is stored when the step is five seconds old.
    await expect.poll(async () => (await listed("TIMERS")).size, { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
    await removeOne(log.subjects.timer("s1", 1));
    await expect.poll(() => repaired().map(({ run }) => run), { timeout: 10_000 }).toContain("s1");
    await purge("TIMERS");
    await allEnd(runs, [1, 2, 3, -4]);
    await nothingIsLeft();
  });

  it("though something is listed in their place, which never fires", async () => {
    const run = await client.start(sleeper, 1, { id: "s1" });
    const timer = log.subjects.timer("s1", 1);
    await expect.poll(async () => (await listed("TIMERS")).has(timer)).toBe(true);
    const hdrs = headers();
    hdrs.set("Nats-Rollup", "sub");
    expect((await bus.request(timer, "{}", { headers: hdrs, timeout: 5_000 })).json()).toHaveProperty("seq");
    await allEnd([run], [1]);
  });
});

describe("children", { timeout: 60_000 }, () => {
  /** A parent whose child waits for a worker. */
  async function family(): Promise<{ run: RunHandle<number>; kid: string }> {
    const run = await client.start(parent, 2, { id: "parent" });
    await expect.poll(async () => (await listed("COMMANDS")).size).toBe(1);
    const kid = [...(await listed("COMMANDS")).keys()].map((subject) => log.subjects.parse(subject)!.run)[0]!;
    return { run, kid };
  }

  it("that are gone are started again", async () => {
    const { run, kid } = await family();
    await log.remove(log.subjects.inbox(kid));
    await log.remove(log.subjects.journal(kid));
    await expect.poll(repaired, { timeout: 20_000 }).toHaveLength(1);
    expect(repaired()[0]).toMatchObject({ run: "parent", missing: [`child ${kid} of slot 1, or its end`] });
    await work();
    await allEnd([run], [9]);
    await nothingIsLeft();
  });

  it("that have ended, and whose parent does not have their end, report it again", async () => {
    const { run, kid } = await family();
    await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
    const upTo = (await log.last(log.subjects.inbox(kid)))!.seq;
    const events = [{ type: "RunCompleted", output: 40 }];
    const decision = { v: 1, type: "Decision", upTo, by: "a coordinator that died", events };
    await log.append(log.subjects.journal(kid), JSON.stringify(decision));
    coordinators.push(await coordinate());
    await allEnd([run], [41]);
    await nothingIsLeft();
  });
});

describe("messages of inboxes that were passed over", { timeout: 60_000 }, () => {
  it("are handled: a signal to a run that waits, and a start", async () => {
    const waiting = await client.start(listener, 1, { id: "listener" });
    const inbox = log.subjects.inbox("listener");
    const consumer = `inbox-${log.subjects.partition("listener")}`;
    await expect.poll(async () => (await log.progress("EVENTS", consumer)).ackFloor).toBeGreaterThan(0);
    await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
    const told = waiting.signal("go", 7);
    const started = await client.start(chain, 1, { id: idBeside("listener") });
    await expect.poll(async () => (await log.read(inbox)).length).toBe(2);
    await takeAndAck(consumer, 2);
    coordinators.push(await coordinate());
    await work();
    await told;
    await allEnd([waiting, started], [7, 4]);
    expect(
      repaired()
        .map(({ run }) => run)
        .toSorted(),
    ).toEqual([started.id, "listener"].toSorted());
    expect(repaired()[0]!.missing).toEqual(["messages of its inbox, which were passed over"]);
  });
});

/** Another id of the same partition. */
function idBeside(run: string): string {
  for (let i = 0; ; i++)
    if (log.subjects.partition(`beside-${i}`) === log.subjects.partition(run)) return `beside-${i}`;
}

/** Takes messages of a consumer, which is named with its stream. */
async function take(consumer: string, count: number): Promise<Msg[]> {
  const reply = `_take.${consumer}`;
  const taken: Msg[] = [];
  const sub = bus.subscribe(reply);
  bus.publish(`$JS.API.CONSUMER.MSG.NEXT.${consumer}`, JSON.stringify({ batch: count, expires: 5e9 }), { reply });
  for await (const msg of sub) if (msg.reply && taken.push(msg) === count) break;
  return taken;
}

/** Takes all that a consumer has, and acknowledges it: as a consumer does whose ack floor was moved. */
async function takeAndAck(consumer: string, count: number): Promise<void> {
  for (const msg of await take(`${namespace}_EVENTS.${consumer}`, count)) msg.respond("+ACK");
  await bus.flush();
}

describe("what no run has use for", { timeout: 90_000 }, () => {
  it("is removed: timers and commands of runs that are over, were deleted, or never were", async () => {
    await work();
    const ended = await client.start(chain, 1, { id: "ended" });
    const gone = await client.start(chain, 1, { id: "gone" });
    await allEnd([ended, gone], [4, 4]);
    await gone.delete();
    const live = await client.start(sleeper, 1, { id: "live" });
    for (const run of ["ended", "gone", "never"]) {
      await log.setTimer(run, 1, Date.now() + 3_600_000);
      await log.append(log.subjects.command("nobody", run, 2), "{}", { expectLast: 0 });
    }
    await log.setTimer("live", 7, Date.now() + 3_600_000);
    await expect
      .poll(async () => [...(await listed("COMMANDS")).keys(), ...(await listed("TIMERS")).keys()], { timeout: 20_000 })
      .toEqual([log.subjects.timer("live", 1)]);
    expect(
      swept()
        .map(({ run }) => run)
        .toSorted(),
    ).toEqual(["ended", "gone", "live", "never"]);
    await allEnd([live], [1]);
    await nothingIsLeft();
  });

  it("is removed where a timer has fired that will never be taken, and nothing else of that consumer's", async () => {
    await work();
    await allEnd([await client.start(chain, 1, { id: "ended" })], [4]);
    await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
    const { subjects } = log;
    const left = subjects.due("ended", 7);
    const due = [left, subjects.due("gone", 1), subjects.due("gone", 2), subjects.due("ended", 8)];
    for (const subject of due) await bus.request(subject, "{}", { timeout: 5_000 });
    const taken = await take(`${namespace}_TIMERS.due`, 4);
    // The ack floor passes the first, which is neither acknowledged nor delivered again: see test/conformance/purge.test.ts.
    await purge("TIMERS", subjects.due("gone", 1).replace(/1$/, "*"));
    taken[3]!.respond("+ACK");
    const last = Number(taken[3]!.reply!.split(".")[5]);
    await expect.poll(async () => (await log.progress("TIMERS", "due")).ackFloor).toBe(last);
    expect([...(await listed("TIMERS")).keys()]).toEqual([left]);
    coordinators.push(await coordinate({ auditMs: 300 }));
    await expect.poll(async () => (await listed("TIMERS")).size, { timeout: 20_000 }).toBe(0);
    expect(swept()).toMatchObject([{ run: "ended", removed: { timer: 1 } }]);
  });

  it("is removed from histories: what deleted runs have left there, and what came later; a start that cannot be read stays", async () => {
    await work();
    await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
    coordinators = [await coordinate({ auditMs: 300 })];
    const { subjects } = log;
    const bulky = await client.start(large, "x".repeat(600_000), { id: "bulky" });
    const whole = await client.start(large, "y".repeat(600_000), { id: "whole" });
    await Promise.all([bulky.result(), whole.result()]);
    await bulky.delete();
    const done = { v: 1, type: "StepCompleted", slot: 1, step: "double", attempt: 1, output: 2 };
    await log.append(subjects.inboxFrom("worker", "bulky"), JSON.stringify(done));
    const record = { v: 1, type: "AttemptFailed", slot: 1, step: "double", attempt: 1, error: failure };
    await log.append(subjects.attempts("late", 1), JSON.stringify(record));
    const decision = { v: 1, type: "Decision", upTo: 1, by: "m", events: [{ type: "RunCompleted" }] };
    await log.append(subjects.journal("late"), JSON.stringify(decision));
    await log.append(subjects.inboxFrom("client", "newer"), JSON.stringify({ v: 99, type: "RunStarted" }));
    const blobs = async () => {
      const { state } = (await api(`STREAM.INFO.${namespace}_BLOBS`, { subjects_filter: ">" })) as any;
      return new Set(Object.keys(state.subjects ?? {}).map((subject) => subject.split(".")[2]));
    };
    expect(await blobs()).toEqual(new Set(["bulky", "whole"]));
    const histories = async () => {
      const found = await log.list("EVENTS", ">");
      return [...new Set([...found.keys()].map((subject) => subject.split(".")[3]!))].toSorted();
    };
    await expect.poll(histories, { timeout: 20_000 }).toEqual(["newer", "whole"]);
    await expect.poll(blobs, { timeout: 60_000, interval: 500 }).toEqual(new Set(["whole"]));
    const kinds = new Set(swept().flatMap(({ removed }) => Object.keys(removed)));
    expect(kinds).toEqual(new Set(["message", "chunk"]));
    expect(await client.get("whole").result()).toBe(600_000);
  });
});
