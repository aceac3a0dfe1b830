/** What a workflow's author would not expect, on a real server: early timers, late awaits, forgotten ones, lost races. */

import { type InboxMessage, SENDER_OF } from "@stepstream/contracts";
import { type Coordinator, type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, type RunHandle, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const any = { input: z.any(), output: z.any() };
const work = step("work", { input: z.any(), output: z.any(), retry: { maxAttempts: 1 } });
const slow = step("slow", { input: z.any(), output: z.any() });

const sleeps = workflow("sleeps", any, async (ms: number, w) => {
  const before = w.now();
  await w.sleep(ms);
  return w.now() - before;
});
const late = workflow("late", any, async (_n, w) => {
  const failing = w.run(work, "fail");
  await w.sleep(300);
  try {
    return await failing;
  } catch (error) {
    return `caught: ${((error as Error).cause as Error).message}`;
  }
});
const unheard = workflow("unheard", any, async (_n, w) => {
  void w.run(work, "fail");
  await w.sleep(300);
  return 1;
});
const forgets = workflow("forgets", any, async (_n, w) => {
  w.run(work, "forgotten");
  return 1;
});
const forgetsOften = workflow("forgets-often", any, async (n: number, w) => {
  if (n > 1) return w.continueAsNew(n - 1);
  w.run(slow, 0).catch(() => {});
  w.sleep("1h").catch(() => {});
  w.waitFor("never" as never).catch(() => {});
  await w.run(work, 1);
  return n;
});
const races = workflow("races", { ...any, signals: { m: z.string() } }, async (_n, w) => {
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) seen.push(await w.race([w.waitFor("m").then((m) => m), w.sleep(300).then(() => "tick")]));
  return seen;
});
const relays = workflow(
  "relays",
  { ...any, updates: { add: { input: z.number(), output: z.number() } }, signals: { next: z.void(), end: z.void() } },
  async (n: number, w) => {
    if (n === 2) w.onUpdate("add", (m) => m + n);
    else
      w.onUpdate("add", async (m) => {
        await w.run(slow, m);
        return m;
      });
    if (n === 2) return w.waitFor("end");
    await w.waitFor("next");
    return w.continueAsNew(2);
  },
);
const all = [sleeps, late, unheard, forgets, forgetsOften, races, relays];

let server: TestServer;
let namespace: string;
let log: EventLog;
let client: Client;
let worker: Worker;
let events: CoordinatorEvent[];
const coordinators: Coordinator[] = [];
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  namespace = `semantics-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  events = [];
  const logger = { info() {}, warn() {}, error() {} };
  worker = await createWorker({ nats: server.url, namespace, logger })
    .handle(work, async (what) => {
      if (what === "fail") throw new Error("no luck");
      return what;
    })
    .handle(slow, async (_what, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      throw signal.reason;
    })
    .start();
});
afterEach(async () => {
  await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
  await worker.stop({ drainMs: 0 });
  await client.close();
  await log.close();
});

/** Wakes whoever waits for an event of the coordinators. */
const changed: (() => void)[] = [];
async function start(settings: object = {}): Promise<Coordinator> {
  const onEvent = (event: CoordinatorEvent) => {
    events.push(event);
    for (const wake of changed.splice(0)) wake();
  };
  const coordinator = createCoordinator({ nats: server.url, namespace, workflows: all, onEvent, settings });
  coordinators.push(coordinator);
  return coordinator.start();
}

async function event<T extends CoordinatorEvent["type"]>(
  type: T,
  is: (event: Extract<CoordinatorEvent, { type: T }>) => boolean = () => true,
): Promise<Extract<CoordinatorEvent, { type: T }>> {
  for (;;) {
    const found = events.find((one) => one.type === type && is(one as never));
    if (found) return found as never;
    await new Promise<void>((resolve) => changed.push(resolve));
  }
}
const parked = () => events.filter(({ type }) => type === "parked");
const forge = (run: string, message: { type: InboxMessage["type"] } & Record<string, unknown>) =>
  log.append(log.subjects.inboxFrom(SENDER_OF[message.type], run), JSON.stringify({ v: 1, ...message }));
const scheduled = (run: RunHandle) => event("decided", (e) => e.run === run.id && /Timer|Retry/.test(e.events.join()));

describe("a message that a timer has fired, before its time", () => {
  it.each([
    ["in memory", 1_500, 3_000],
    ["stored", 1_500, 0],
  ])("is ignored and reported, and the timer fires in its time: %s", async (_where, ms, shortTimerMs) => {
    await start({ shortTimerMs });
    const run = await client.start(sleeps, ms);
    await scheduled(run);
    for (let i = 0; i < 3; i++) await forge(run.id, { type: "TimerFired", slot: 1 });
    expect(await event("early")).toMatchObject({ run: run.id, slot: 1, fireAt: expect.any(Number) });
    expect(await run.result()).toBeGreaterThanOrEqual(ms);
    expect(events.filter(({ type }) => type === "early")).toHaveLength(3);
    const fired = (await run.history()).flatMap((entry) =>
      entry.kind === "inbox" && entry.message.type === "TimerFired" ? [entry.early ?? false] : [],
    );
    expect(fired).toEqual([true, true, true, false]);
    expect(parked()).toEqual([]);
  });

  it("does not use the timer up when it was the stored one itself, and another coordinator takes over", async () => {
    const first = await start({ shortTimerMs: 0 });
    const run = await client.start(sleeps, 2_500);
    await scheduled(run);
    // As a server with a fast clock would: the stored timer goes, and its message comes early.
    await log.cancelTimer(run.id, 1);
    await forge(run.id, { type: "TimerFired", slot: 1 });
    await event("early");
    await first.stop();
    await start({ shortTimerMs: 0 });
    expect(await run.result()).toBeGreaterThanOrEqual(2_500);
  });
});

describe("a rejection", () => {
  it("that is awaited later reaches the workflow's catch; one that is not fails the run as unhandled", async () => {
    await start();
    expect(await (await client.start(late, 0)).result()).toBe("caught: no luck");
    await expect((await client.start(unheard, 0)).result()).rejects.toMatchObject({
      code: "UNHANDLED_REJECTION",
      cause: { code: "STEP_FAILED" },
    });
  });
});

describe("work that is not awaited", () => {
  it("is cancelled at the end, with a warning that names its line, once found out for each kind", async () => {
    await start();
    for (const id of ["f1", "f2"]) {
      const run = await client.start(forgets, 0, { id });
      expect(await run.result()).toBe(1);
      const warning = await event("forgotten", ({ run }) => run === id);
      expect(warning).toMatchObject({ workflow: "forgets", what: "step work", slot: 1 });
      expect(warning.position).toMatch(/semantics\.test\.ts:\d+:\d+$/);
    }
    expect(parked()).toEqual([]);
  });

  it("of all kinds: steps and timers, in a run that has continued as new", async () => {
    await start();
    const run = await client.start(forgetsOften, 3, { id: "often" });
    expect(await run.result()).toBe(1);
    await event("forgotten", ({ what }) => what === "a timer");
    const found = events.flatMap((e) =>
      e.type === "forgotten" ? [[e.what, e.position?.includes("semantics.test.ts")]] : [],
    );
    expect(found).toEqual([
      ["step slow", true],
      ["a timer", true],
    ]);
    expect(parked()).toEqual([]);
  });
});

describe("a signal", () => {
  it("is not lost to a wait that lost its race in an earlier round, also after a restart", async () => {
    const first = await start();
    const run = await client.start(races, 0);
    await event(
      "decided",
      (e) => e.events.includes("SlotsCancelled") || e.events.filter((t) => t === "TimerStarted").length > 0,
    );
    await event("decided", (e) => e.upTo > 1 && e.events.includes("TimerStarted"));
    await run.signal("m", "one");
    await first.stop();
    await start();
    await run.signal("m", "two").catch(() => {});
    const seen: string[] = await run.result();
    expect(seen.filter((what) => what !== "tick")).toContain("one");
    expect(parked()).toEqual([]);
  });
});

describe("an update", () => {
  it("that is in progress when the run continues as new is refused with the reason; the next is answered", async () => {
    await start();
    const run = await client.start(relays, 1);
    const update = run.update("add", 5).then(
      () => "answered",
      (error) => error,
    );
    await event("decided", (e) => e.events.includes("UpdateAccepted"));
    await run.signal("next", undefined as never);
    expect(await update).toMatchObject({
      code: "UPDATE_REFUSED",
      message: expect.stringContaining("continued as new while the update was in progress"),
    });
    expect(await run.update("add", 5)).toBe(7);
    await run.signal("end", undefined as never);
    await run.result();
  });

  it.each([
    ["cancelled", (run: RunHandle) => run.cancel()],
    ["terminated", (run: RunHandle) => run.terminate()],
  ])("that is in progress when the run is %s is refused with the reason, and so is a repeat", async (how, end) => {
    await start();
    const run = await client.start(relays, 1);
    const update = run.update("add", 5, { id: "five" }).catch((error) => error);
    await event("decided", (e) => e.events.includes("UpdateAccepted"));
    await end(run);
    const refused = {
      code: "UPDATE_REFUSED",
      message: expect.stringContaining(`The run was ${how} while the update was in progress`),
    };
    expect(await update).toMatchObject(refused);
    await expect(run.result()).rejects.toMatchObject({ code: `WORKFLOW_${how.toUpperCase()}` });
    await expect(run.update("add", 5, { id: "five" })).rejects.toMatchObject(refused);
    // One that came too late has changed nothing.
    await expect(run.update("add", 6)).rejects.toMatchObject({ code: "RUN_CLOSED" });
  });
});
