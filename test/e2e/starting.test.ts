/** The ways to start a run, on a real server. */

import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import {
  type Client,
  connect,
  RunAlreadyExistsError,
  RunClosedError,
  RunStillGoingError,
  StepError,
  step,
  workflow,
} from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const double = step("double", {
  input: z.int(),
  output: z.number(),
  retry: { maxAttempts: 3, backoff: { initialMs: 10, factor: 1, maxMs: 10, jitter: "none" } },
});
const held = step("held", { input: z.string(), output: z.string() });
const basket = workflow(
  "basket",
  { input: z.object({ customer: z.string() }), output: z.array(z.string()), signals: { item: z.string() } },
  async (_input, w) => {
    const items: string[] = [];
    for (let item = await w.waitFor("item"); item !== "pay"; item = await w.waitFor("item")) items.push(item);
    return items;
  },
);
const holding = workflow("holding", { input: z.string(), output: z.string() }, (what, w) => w.run(held, what));
const doubling = workflow("doubling", { input: z.int(), output: z.number() }, (n, w) => w.run(double, n));

let server: TestServer;
let namespace: string;
let log: EventLog;
let client: Client;
let worker: Worker;
let coordinator: Coordinator;
let count = 0;
let attempts: { input: number; key: string }[];
let release: Map<string, () => void>;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

beforeEach(async () => {
  namespace = `starting-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  attempts = [];
  release = new Map();
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats: server.url, namespace, logger })
    .handle(double, async (n, { idempotencyKey }) => {
      attempts.push({ input: n, key: idempotencyKey });
      if (n < 0) throw new Error("not below zero");
      return n * 2;
    })
    .handle(held, (what) => new Promise((resolve) => release.set(what, () => resolve(what))))
    .start();
  const workflows = [basket, holding, doubling];
  coordinator = await createCoordinator({ nats: server.url, namespace, workflows }).start();
});

afterEach(async () => {
  for (const one of release.values()) one();
  await coordinator.stop();
  await worker.stop({ drainMs: 0 });
  await client.close();
  await log.close();
});

describe("an id that is taken", () => {
  it("is refused, or the run that has it is followed", async () => {
    await client.start(doubling, 1, { id: "same" });
    await expect(client.start(doubling, 2, { id: "same" })).rejects.toThrow(RunAlreadyExistsError);
    const attached = await client.start(doubling, 2, { id: "same", onConflict: "attach" });
    expect(await attached.result()).toBe(2);
    await expect(client.start(holding, "x", { id: "same", onConflict: "attach" })).rejects.toThrow(
      RunAlreadyExistsError,
    );
  });

  it("gets another run in its place; a late result of the old one fits no slot of the new", async () => {
    await client.start(holding, "old", { id: "same" });
    await expect.poll(() => release.has("old")).toBe(true);
    const second = await client.start(holding, "new", { id: "same", onConflict: "terminate" });
    await expect.poll(() => release.has("new")).toBe(true);
    release.get("old")!();
    const inbox = async () => (await log.read(log.subjects.inbox("same"))).map(({ text }) => JSON.parse(text).type);
    // Whether it says that it ended or that it gave up depends on when it heard of the end of its run.
    const late = async () => (await inbox()).some((type) => type === "StepCompleted" || type === "StepCancelled");
    await expect.poll(late, { timeout: 10_000 }).toBe(true);
    release.get("new")!();
    expect(await second.result()).toBe("new");
    const scheduled = (await second.history()).flatMap((x) =>
      x.kind === "journal" ? x.message.events.flatMap((e) => (e.type === "StepScheduled" ? [e.slot] : [])) : [],
    );
    expect(scheduled).toEqual([2]);
  });

  it("gets another run in the place of one that is over", async () => {
    expect(await (await client.start(doubling, 1, { id: "same" })).result()).toBe(2);
    const again = await client.start(doubling, 5, { id: "same", onConflict: "terminate" });
    expect(await again.result()).toBe(10);
    expect(new Set(attempts.map(({ key }) => key)).size).toBe(2);
  });

  it("is free again when its run is deleted", async () => {
    const run = await client.start(holding, "x", { id: "same" });
    await expect.poll(() => release.has("x")).toBe(true);
    await expect(run.delete()).rejects.toThrow(RunStillGoingError);
    release.get("x")!();
    await run.result();
    await run.delete();
    await expect(run.status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    expect(await (await client.start(doubling, 4, { id: "same" })).result()).toBe(8);
  });
});

describe("a deletion that was interrupted", () => {
  const stored = async () => [...(await log.list("EVENTS", `${namespace}.>`)).keys()];

  /** Ten messages that came too late, and of all only the oldest was removed. */
  async function interrupted(): Promise<string> {
    const run = await client.start(doubling, 1, { id: "same" });
    expect(await run.result()).toBe(2);
    const inbox = log.subjects.inboxFrom("client", "same");
    const late = (id: number) => JSON.stringify({ v: 1, type: "CancelRequested", id: `late${id}`, reason: "late" });
    for (let i = 0; i < 10; i++) await log.append(inbox, late(i));
    const [first] = await log.read(inbox, { fresh: true });
    expect(await log.remove(inbox, { upTo: first!.seq })).toBe(1);
    return inbox;
  }

  it("is no obstacle to a new start under the id", async () => {
    await interrupted();
    const again = await client.start(doubling, 2, { id: "same" });
    expect(await again.result()).toBe(4);
    await again.delete();
    expect((await stored()).filter((subject) => /\bsame\b/.test(subject))).toEqual([]);
  });

  it("can be done again", async () => {
    const inbox = await interrupted();
    await client.get("same").delete();
    expect(await log.read(inbox, { fresh: true })).toEqual([]);
    expect((await stored()).filter((subject) => /\bsame\b/.test(subject))).toEqual([]);
  });
});

describe("signal with start", () => {
  it("starts the run with the signal, or sends it to the one that is there", async () => {
    const add = (item: string) =>
      client.signalWithStart(basket, { customer: "eva" }, { id: "eva", signal: { name: "item", payload: item } });
    await Promise.all([add("apple"), add("pear")]);
    const run = await add("pay");
    expect((await run.result()).sort()).toEqual(["apple", "pear"]);
    await expect(add("late")).rejects.toThrow(RunClosedError);
  });
});

describe("a step without a workflow", () => {
  it("gives the step's output, or throws its StepError", async () => {
    const job = await client.runStep(double, 21, { id: "job" });
    expect(await job.result()).toBe(42);
    expect(attempts).toEqual([{ input: 21, key: "job/1" }]);
    const error = await (await client.runStep(double, -1, { retry: { maxAttempts: 2 } })).result().catch((e) => e);
    expect(error).toBeInstanceOf(StepError);
    expect(error).toMatchObject({ step: "double", attempt: 2, input: -1 });
    await expect(client.runStep(double, 1.5)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    expect((await client.list({ workflow: "_step" })).length).toBe(2);
  });
});

describe("many starts", () => {
  it("10,000 runs; one that is wrong keeps none of the others", async () => {
    const items = Array.from({ length: 10_000 }, (_, n) => ({ id: `n-${n}`, input: n === 77 ? 0.5 : n }));
    const from = performance.now();
    const outcomes = await client.startMany(doubling, items);
    const ms = performance.now() - from;
    expect(outcomes.map(({ id }) => id)).toEqual(items.map(({ id }) => id));
    expect(outcomes.filter(({ status }) => status !== "started")).toEqual([
      { id: "n-77", status: "failed", error: expect.objectContaining({ code: "INVALID_INPUT" }) },
    ]);
    console.log(`10,000 starts in ${Math.round(ms)} ms`);
    expect(await client.handle(doubling, "n-9999").result()).toBe(19_998);
    const again = await client.startMany(doubling, items.slice(0, 3), { onConflict: "attach" });
    expect(again.map(({ status }) => status)).toEqual(["attached", "attached", "attached"]);
  });
});
