/**
 * Runs beside one whose messages are removed: whatever removes them, and whoever waits for a retry, a timer or an answer
 * meanwhile, all of them end. And runs whose commands an older version has stranded are found and go on.
 */
import { jetstream } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator, type Settings } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, fixed, type RunHandle, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const RETRY_MS = 4_000;

const Mode = z.enum(["flaky", "stubborn", "slow"]);
const numbers = { input: z.number(), output: z.number() };
/**
 * flaky: fails once, and succeeds when it is tried again. stubborn: never ends, and does not listen to a cancel. slow:
 * takes as long as most of the wait of a flaky one.
 */
const work = step("work", { input: Mode, output: Mode, retry: { backoff: fixed(RETRY_MS) } });
const hasty = { timeout: { total: "1s" } } as const;

const one = workflow("one", { input: Mode, output: Mode }, (mode, w) => w.run(work, mode));
const timed = workflow("timed", { input: Mode, output: Mode }, async (mode, w) => {
  try {
    return await w.run(work, mode, hasty);
  } catch {
    return mode;
  }
});
const raced = workflow("raced", { input: Mode, output: z.unknown() }, (mode, w) =>
  w.race([w.run(work, mode), w.sleep("300ms")]),
);
const two = workflow("two", { input: Mode, output: z.array(Mode) }, (mode, w) =>
  w.all([w.run(work, mode), w.run(work, mode)]),
);
const sleeper = workflow("sleeper", numbers, async (ms, w) => {
  await w.sleep(ms);
  return ms;
});
const workflows = [one, timed, raced, two, sleeper];

let server: TestServer;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

interface Scene {
  log: EventLog;
  client: Client;
  worker: Worker;
  /** How often each run's step was started. */
  starts: Map<string, number>;
  coordinate(settings?: Partial<Settings>): Promise<Coordinator>;
}

/** A namespace of one partition, so that all runs share the consumers. */
async function open(onTestFinished: (fn: () => Promise<void>) => void): Promise<Scene> {
  const namespace = `stranded-${process.pid}-${++count}`;
  const log = await connectEventLog({ nats: server.url, namespace, partitions: 1 });
  const client = await connect({ log });
  const starts = new Map<string, number>();
  const ended = new AbortController();
  const logger = { info() {}, warn() {}, error() {} };
  const worker = await createWorker({ nats: server.url, namespace, logger })
    .handle(work, async (mode, { run, attempt }) => {
      starts.set(run, (starts.get(run) ?? 0) + 1);
      if (mode === "flaky" && attempt === 1) throw new Error("once");
      if (mode === "slow") await new Promise((resolve) => setTimeout(resolve, 0.85 * RETRY_MS));
      if (mode === "stubborn") await new Promise((resolve) => ended.signal.addEventListener("abort", resolve));
      return mode;
    })
    .start();
  const coordinators: Coordinator[] = [];
  onTestFinished(async () => {
    ended.abort();
    await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
    await worker.stop({ drainMs: 0 });
    await client.close();
    await log.close();
  });
  return {
    log,
    client,
    worker,
    starts,
    async coordinate(settings = {}) {
      const coordinator = createCoordinator({ nats: server.url, namespace, workflows, settings });
      coordinators.push(coordinator);
      return coordinator.start();
    },
  };
}

/** Five runs that wait for their retry, the one that is to go, and one that takes a while. */
async function seven({ client, starts }: Scene, victim: () => Promise<RunHandle>) {
  const flaky = await Promise.all(["f1", "f2", "f3", "f4", "f5"].map((id) => client.start(one, "flaky", { id })));
  await until(() => flaky.every(({ id }) => starts.has(id)));
  const b = await victim();
  await until(() => starts.has("b"));
  const slow = await client.start(one, "slow", { id: "slow" });
  await until(() => starts.has("slow"));
  return { b, others: [...flaky, slow] };
}

const until = (holds: () => boolean | Promise<boolean>) => vi.waitUntil(holds, { timeout: 4 * RETRY_MS, interval: 20 });
const signal = () => AbortSignal.timeout(30_000);

async function allEnd(runs: RunHandle[]): Promise<void> {
  const ended = await Promise.allSettled(runs.map((run) => run.result({ signal: signal() })));
  const how = ended.map((one, i) => `${runs[i]!.id} ${one.status === "fulfilled" ? "ended" : one.reason}`);
  expect(how).toEqual(runs.map(({ id }) => `${id} ended`));
}

describe.concurrent("runs that wait for a retry all end, beside one", () => {
  it("that is cancelled and does not stop within its grace", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    await scene.coordinate();
    const { b, others } = await seven(scene, () => scene.client.start(one, "stubborn", { id: "b" }));
    await b.cancel({ grace: "300ms" });
    await expect(b.result({ signal: signal() })).rejects.toMatchObject({ code: "WORKFLOW_CANCELLED" });
    await allEnd(others);
    expect(scene.starts.get("f1")).toBe(2);
  });

  it("that is terminated", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    await scene.coordinate();
    const { b, others } = await seven(scene, () => scene.client.start(one, "stubborn", { id: "b" }));
    await b.terminate();
    await allEnd(others);
  });

  it("that is deleted and started again under its id", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    await scene.coordinate();
    const { others } = await seven(scene, () => scene.client.start(one, "stubborn", { id: "b" }));
    const again = await scene.client.start(one, "flaky", { id: "b", onConflict: "terminate" });
    await allEnd([...others, again]);
    await scene.client.get("b").delete();
    expect(await scene.log.read(scene.log.subjects.inbox("b"), { fresh: true })).toEqual([]);
  });

  it("whose step runs out of time", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    await scene.coordinate();
    const { b, others } = await seven(scene, () => scene.client.start(timed, "stubborn", { id: "b" }));
    await allEnd([...others, b]);
  });

  it("whose step has lost a race and is abandoned", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    await scene.coordinate({ graceMs: 300 });
    const { b, others } = await seven(scene, () => scene.client.start(raced, "stubborn", { id: "b" }));
    await allEnd([...others, b]);
  });
});

describe.concurrent("inbox messages that stay unacknowledged", () => {
  it("are delivered to the next coordinator, though others were deleted beside them", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    const first = await scene.coordinate();
    const sleepers = await Promise.all(["s1", "s2", "s3"].map((id) => scene.client.start(sleeper, 2_500, { id })));
    for (let i = 0; i < 5; i++) {
      const b = await scene.client.start(sleeper, 2_000, { id: "b", onConflict: "terminate" });
      await b.terminate();
      await expect(b.result({ signal: signal() })).rejects.toMatchObject({ code: "WORKFLOW_TERMINATED" });
      await scene.client.get("b").delete();
    }
    await first.stop();
    await scene.coordinate();
    await allEnd(sleepers);
  });
});

describe.concurrent("inbox messages that another has stranded by a purge", () => {
  it("are found, and folded in their order", async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    const { log, client } = scene;
    const first = await scene.coordinate();
    await until(async () => (await log.backlog("EVENTS")).has("inbox-0"));
    await first.stop();
    // What no version of ours does: the start is taken from the consumer, and never delivered again.
    const run = await client.start(sleeper, 100, { id: "s1" });
    const nc = await connectNats({ servers: server.url });
    const consumer = await jetstream(nc).consumers.get(log.subjects.streamName("EVENTS"), "inbox-0");
    expect(await (await consumer.next({ expires: 10_000 }))?.ackAck()).toBe(true);
    await nc.close();
    await scene.coordinate();
    expect(await run.result({ signal: signal() })).toBe(100);
  });
});

describe.concurrent("commands that an older version has stranded", () => {
  /** Does what that version did: a purge with a subject, here of two commands, which strands surely. */
  async function strand(scene: Scene): Promise<RunHandle[]> {
    const { log, client } = scene;
    const { others } = await seven(scene, () => client.start(two, "stubborn", { id: "b" }));
    await until(() => scene.starts.get("b") === 2);
    const nc = await connectNats({ servers: server.url });
    const ask = JSON.stringify({ filter: log.subjects.command("work", "b", 1).replace(/1$/, "*") });
    const purged = await nc.request(`$JS.API.STREAM.PURGE.${log.subjects.streamName("COMMANDS")}`, ask);
    expect(purged.json()).toMatchObject({ purged: 2 });
    await nc.close();
    await client.get("b").terminate();
    await others.at(-1)!.result({ signal: signal() });
    const filter = log.subjects.all.commandsOfStep("work");
    const oldest = await log.oldest("COMMANDS", filter);
    const floor = async () => (await log.progress("COMMANDS", log.subjects.stepConsumer("work"))).ackFloor;
    await until(async () => (await floor()) >= oldest!.seq);
    return others;
  }

  it("are published again, under ids of their own, by the coordinator that is there", { timeout: 60_000 }, async ({
    onTestFinished,
  }) => {
    const scene = await open(onTestFinished);
    await scene.coordinate({ auditMs: 1_000, ackWaitMs: 2_000 });
    const others = await strand(scene);
    await allEnd(others);
    // Published less than two minutes after the first time: the ids of then would have made them duplicates. The attempt
    // that failed before is on record, and is not made again.
    expect(["f1", "f2", "f3", "f4", "f5"].map((id) => scene.starts.get(id))).toEqual([2, 2, 2, 2, 2]);
    expect(await scene.log.list("COMMANDS", scene.log.subjects.all.commandsOfStep("work"))).toEqual(new Map());
  });

  it("are published again by the next one, soon after its start", { timeout: 60_000 }, async ({ onTestFinished }) => {
    const scene = await open(onTestFinished);
    const first = await scene.coordinate();
    const others = await strand(scene);
    await first.stop();
    // It looks every 30 s, and soon once more after it has found some for the first time.
    const startedAt = Date.now();
    await scene.coordinate({ ackWaitMs: 2_000 });
    await until(() => scene.starts.get("f1") === 2);
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    await allEnd(others);
  });
});
