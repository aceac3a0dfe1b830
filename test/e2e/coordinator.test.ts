/** The coordinator on a real server: killed at every moment, in company, and under load. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Decision, isTerminal } from "@stepstream/contracts";
import { type Coordinator, type CoordinatorEvent, createCoordinator, replayRun } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type AnyWorkflow, type Client, connect, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { noTelemetry } from "@stepstream/telemetry";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { add, chain, doomed, fan, nap, nights, undo, workflows } from "./programs/workflows.ts";

const PROGRAM = new URL("programs/coordinator.ts", import.meta.url).pathname;

let server: TestServer;
let namespace: string;
let log: EventLog;
let client: Client;
let worker: Worker;
let seen: { run: string; slot: number; step: string }[];
let undone: string[];
const coordinators: Coordinator[] = [];
const children: ChildProcess[] = [];
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

beforeEach(async () => {
  namespace = `coord-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  seen = [];
  undone = [];
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats: server.url, namespace, logger })
    .handle(add, async (n, { run, slot, step }) => {
      seen.push({ run, slot, step });
      return n + 1;
    })
    .handle(nap, async (ms, ctx) => {
      seen.push({ run: ctx.run, slot: ctx.slot, step: ctx.step });
      for (let left = ms; left > 0; left -= 100) {
        ctx.heartbeat();
        await new Promise((resolve) => setTimeout(resolve, Math.min(left, 100)));
        ctx.signal.throwIfAborted();
      }
      return ms;
    })
    .handle(undo, async (what) => void undone.push(what))
    .start();
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
  await worker.stop({ drainMs: 0 });
  await client.close();
  await log.close();
});

async function start(options: Partial<Parameters<typeof createCoordinator>[0]> = {}): Promise<Coordinator> {
  const coordinator = createCoordinator({ nats: server.url, namespace, workflows, ...options });
  coordinators.push(coordinator);
  return coordinator.start();
}

/** A coordinator process. @returns when it says that it is ready. */
async function program(die = ""): Promise<ChildProcess> {
  const env = { ...process.env, NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace, DIE: die };
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  for await (const line of createInterface(child.stdout!)) if (line.startsWith("ready")) break;
  return child;
}

/** Exactly one terminal event, nothing decided twice, and the same decisions when the history is replayed. */
async function expectSound(run: string, definition: AnyWorkflow): Promise<void> {
  const journal = (await log.read(log.subjects.journal(run))).map((stored) => Decision.parse(JSON.parse(stored.text)));
  const events = journal.flatMap((decision) => decision.events);
  expect(events.filter(isTerminal)).toHaveLength(1);
  expect(isTerminal(events.at(-1)!)).toBe(true);
  const upTos = journal.map((decision) => decision.upTo);
  expect(upTos).toEqual([...new Set(upTos)].sort((a, b) => a - b));
  const inbox = (await log.read(log.subjects.inbox(run))).map(({ seq, at, text }) => ({
    seq,
    at,
    message: JSON.parse(text),
  }));
  expect(await replayRun(definition, { run, inbox, decisions: journal })).toBeUndefined();
}

function timesRun(run: string, slot: number): number {
  return seen.filter((one) => one.run === run && one.slot === slot).length;
}

describe("a coordinator that is killed", () => {
  it.each(["journal:1", "journal:3", "command:1", "command:3"])(
    "right after %s: another goes on, and no step is run twice",
    async (die) => {
      const child = await program(die);
      const run = await client.start(chain, 5, { id: "r1" });
      await once(child, "exit");
      expect(child.signalCode).toBe("SIGKILL");
      await start();
      expect(await run.result()).toBe(5);
      for (let slot = 1; slot <= 5; slot++) expect(timesRun("r1", slot)).toBe(1);
      await expectSound("r1", chain);
    },
  );

  it("does not read a run from the log that it sees from its start", async () => {
    const events: CoordinatorEvent[] = [];
    await start({ onEvent: (event) => events.push(event) });
    const run = await client.start(chain, 3);
    await run.result();
    expect(events.some((event) => event.type === "decided" && event.run === run.id)).toBe(true);
    expect(events.filter(({ type }) => type === "rebuilt")).toEqual([]);
  });

  it("is taken over within 6 seconds, timers and long attempts included", async () => {
    const first = await program();
    await start();
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.start(nights, [1_500, 100], { id: `n${i}` })),
    );
    await Promise.all(runs.map((run) => until(async () => (await log.read(log.subjects.journal(run.id))).length > 0)));
    first.kill("SIGKILL");
    const killedAt = Date.now();
    const fresh = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.start(chain, 1, { id: `fresh${i}` }).then((run) => run.result())),
    );
    expect(fresh).toEqual(Array.from({ length: 20 }, () => 1));
    expect(Date.now() - killedAt).toBeLessThan(6_000);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => 2));
    for (const run of runs) await expectSound(run.id, nights);
  });

  it("right after a run's end is journalled: another tells of the end; nobody does because of what comes late", async () => {
    const ended: string[] = [];
    const telemetry = { ...noTelemetry, runEnded: ({ run }: { run: string }) => void ended.push(run) };
    const child = await program("journal:2");
    const run = await client.start(chain, 1, { id: "r1" });
    await once(child, "exit");
    await start({ telemetry });
    expect(await run.result()).toBe(1);
    await until(async () => ended.length > 0);
    await coordinators.pop()!.stop();

    const late = { v: 1, type: "CancelRequested", id: "late", reason: "too late" };
    const subject = log.subjects.inboxFrom("client", "r1");
    const { seq } = await log.append(subject, JSON.stringify(late));
    await start({ telemetry });
    const consumer = `inbox-${log.subjects.parse(subject)!.partition}`;
    await until(async () => (await log.progress("EVENTS", consumer)).delivered >= seq);
    await coordinators.pop()!.stop();
    expect(ended).toEqual(["r1"]);
  });

  it("gracefully: hands over at once", async () => {
    const first = await program();
    await start();
    const run = await client.start(nights, [300, 2_000], { id: "r1" });
    const fresh = Array.from({ length: 12 }, (_, i) => client.start(chain, 1, { id: `fresh${i}` }));
    await Promise.all(fresh);
    first.kill("SIGTERM");
    await once(first, "exit");
    expect(first.exitCode).toBe(0);
    const startedAt = Date.now();
    const more = await Promise.all(Array.from({ length: 12 }, (_, i) => client.start(chain, 1, { id: `more${i}` })));
    await Promise.all(more.map((one) => one.result()));
    expect(Date.now() - startedAt).toBeLessThan(2_000);
    expect(await run.result()).toBe(2);
  });
});

describe("two coordinators that do not know of each other", () => {
  it("fight over the same runs: each run has one history all the same", async () => {
    const moved: CoordinatorEvent[] = [];
    for (let i = 0; i < 2; i++) {
      const own = await connectEventLog({ nats: server.url, namespace });
      const listen = own.listen.bind(own);
      own.listen = (subject, fn) => (subject.endsWith(".presence") ? { stop() {} } : listen(subject, fn));
      await start({ log: own, onEvent: (event) => event.type === "moved" && moved.push(event) });
    }
    expect(coordinators.map((coordinator) => coordinator.partitions)).toEqual([
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ]);
    const runs = await Promise.all(Array.from({ length: 30 }, (_, i) => client.start(chain, 8, { id: `r${i}` })));
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => 8));
    for (const run of runs) {
      await expectSound(run.id, chain);
      for (let slot = 1; slot <= 8; slot++) expect(timesRun(run.id, slot)).toBe(1);
    }
  });
});

describe("a nats-server that is killed and restarted on the same store", () => {
  it("loses nothing: every run ends", async () => {
    if (server.kind === "url") return;
    await start();
    const runs = await Promise.all(
      Array.from({ length: 50 }, (_, i) => client.start(i % 2 ? chain : fan, 10, { id: `r${i}` })),
    );
    const slow = await client.start(nights, [1_000, 500], { id: "slow" });
    await server.kill();
    await server.restart();
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results).toEqual(runs.map((_, i) => (i % 2 ? 10 : 55)));
    expect(await slow.result()).toBe(2);
    for (const run of runs) await expectSound(run.id, Number(run.id.slice(1)) % 2 ? chain : fan);
  });
});

describe("messages that cannot be read", () => {
  it.each([
    ["no JSON", "{nonsense", undefined],
    ["an unknown version", '{"v":7,"type":"StepCompleted","slot":1}', "v"],
    ["a field at fault", '{"v":1,"type":"TimerFired","slot":0}', "slot"],
    ["an unknown type", '{"v":1,"type":"Surprise"}', "type"],
  ])("%s: go to the dead letters with the path, and block nothing", async (_what, text, path) => {
    await start();
    const run = await client.start(nights, [200], { id: "r1" });
    await log.append(log.subjects.inboxFrom("client", "r1"), text);
    expect(await run.result()).toBe(1);
    const letter = await until(async () => (await log.read(log.subjects.dead("-", "r1", 0)))[0]);
    const { code, path: found, text: kept } = JSON.parse(letter.text);
    expect({ code, path: found, text: kept }).toEqual({ code: "MALFORMED_MESSAGE", path, text });
    await expectSoundReadable("r1");
  });

  async function expectSoundReadable(run: string): Promise<void> {
    const last = (await log.last(log.subjects.journal(run)))!;
    expect(Decision.parse(JSON.parse(last.text)).events.at(-1)!.type).toBe("RunCompleted");
  }

  it("an inbox that does not begin with a start is no run", async () => {
    await start();
    await log.append(log.subjects.inboxFrom("coordinator", "ghost"), '{"v":1,"type":"TimerFired","slot":1}');
    const run = await client.start(chain, 1, { id: "r1" });
    expect(await run.result()).toBe(1);
    expect(await log.last(log.subjects.journal("ghost"))).toBeUndefined();
  });
});

describe("a run that cannot be handled here", () => {
  const numbers = { input: z.number(), output: z.number() };

  it("of an unknown workflow is parked, and goes on when a coordinator knows it", async () => {
    const stranger = workflow("stranger", numbers, (n, w) => w.run(add, n));
    const parked = Promise.withResolvers<void>();
    await start({ onEvent: (event) => event.type === "parked" && parked.resolve() });
    const run = await client.start(stranger, 1, { id: "r1" });
    await parked.promise;
    expect(await run.status()).toMatchObject({ status: "parked" });
    await coordinators.pop()!.stop();
    await start({ workflows: [stranger] });
    expect(await run.result()).toBe(2);
    expect(await log.last(log.subjects.parked("r1"))).toBeUndefined();
  });

  it("because the code has changed is parked with both sides, and nothing is broken", async () => {
    const before = workflow("changing", numbers, async (n, w) => {
      await w.sleep(400);
      return w.run(add, n);
    });
    const after = workflow("changing", numbers, async (n, w) => w.run(add, n));
    const decided = Promise.withResolvers<void>();
    await start({ workflows: [before], onEvent: (event) => event.type === "decided" && decided.resolve() });
    const run = await client.start(before, 1, { id: "r1" });
    await decided.promise;
    await coordinators.pop()!.stop();
    const parked = Promise.withResolvers<Error>();
    await start({ workflows: [after], onEvent: (event) => event.type === "parked" && parked.resolve(event.error) });
    const error = await parked.promise;
    expect(error.message).toMatch(/recorded: .*TimerStarted.*\n.*replayed: .*StepScheduled/);
    await coordinators.pop()!.stop();
    await start({ workflows: [before] });
    expect(await run.result()).toBe(2);
    await expectSound("r1", before);
  });
});

describe("cancel and compensation", () => {
  it("reaches the attempt that runs; compensations come after it has ended", async () => {
    await start();
    const run = await client.start(doomed, 30_000, { id: "r1" });
    await until(async () => seen.some((one) => one.step === "nap"));
    expect(undone).toEqual([]);
    await run.cancel({ reason: "changed my mind" });
    await expect(run.result()).rejects.toMatchObject({ code: "WORKFLOW_CANCELLED", reason: "changed my mind" });
    expect(undone).toEqual(["first"]);
    await expectSound("r1", doomed);
  });
});

describe("many", () => {
  it("a run of 2,000 steps ends", async () => {
    await start();
    const run = await client.start(fan, 2_000, { id: "wide" });
    expect(await run.result()).toBe((2_000 * 2_001) / 2);
    await expectSound("wide", fan);
  });

  it("a chain of 300 steps survives being dropped from memory in between", async () => {
    await start({ settings: { idleMs: 1, hotRuns: 0 } });
    const run = await client.start(chain, 300, { id: "long" });
    expect(await run.result()).toBe(300);
    await expectSound("long", chain);
  });

  it("2,000 runs at once end", async () => {
    await start();
    const runs = await Promise.all(Array.from({ length: 2_000 }, (_, i) => client.start(chain, 2, { id: `m${i}` })));
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results.every((result) => result === 2)).toBe(true);
    expect(seen).toHaveLength(4_000);
  });
});

/** Asks until there is an answer. */
async function until<T>(ask: () => Promise<T>): Promise<NonNullable<T>> {
  const end = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error("It did not come about within 20 s.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
