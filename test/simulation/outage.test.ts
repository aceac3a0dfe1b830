/** How much coordinators do while the log does not answer: in virtual time, so that minutes of it cost nothing. */
import { LogUnavailableError, PermissionDeniedError } from "@stepstream/contracts";
import { createBoundary, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { type Client, connect, step, workflow } from "@stepstream/sdk";
import { Chance, countedMacrotask, VirtualClock } from "@stepstream/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { settled } from "./settled.ts";

const PARTITIONS = 16;
const never = step("never", { input: z.int(), output: z.int() });
const three = workflow("three", { input: z.int(), output: z.int() }, async (n, w) => {
  const all = await w.all([w.run(never, n), w.run(never, n), w.run(never, n)]);
  return all.length;
});
const LATENCY: Faults = {
  latencyMs: () => 5,
  loses: () => false,
  staleMs: () => 0,
  timerLateMs: () => 0,
  timeoutMs: 2_000,
};

type Happened = { type: string; what?: string; partition?: number };

let clock: VirtualClock;
let server: MemoryServer;
let client: Client;
const boundary = createBoundary(countedMacrotask);

beforeEach(async () => {
  clock = new VirtualClock(new Chance(1).next);
  server = new MemoryServer({ namespace: "outage", partitions: PARTITIONS, clock, faults: LATENCY });
  const log = server.connect("client");
  client = await soon(connect({ log, clock: log.clock }));
});

const soon = <T>(promise: Promise<T>) => settled(clock, promise, 600_000);
const pass = (ms: number) => soon(new Promise<void>((resolve) => void clock.setTimeout(resolve, ms)));

/** A coordinator, and its calls to the log that `fails` names: each fails while that returns true. */
async function coordinator(
  name: string,
  fails: (method: string, first: any) => boolean = () => false,
  how = (what: string): Error => new LogUnavailableError(what, "so the test wants it"),
) {
  const log = server.connect(name);
  let failed = 0;
  const events: Happened[] = [];
  const tricked = new Proxy(log, {
    get(target: MemoryLog, key: keyof EventLog) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (!fails(key, args[0])) return value.apply(target, args);
        failed++;
        return Promise.reject(how(`${key} of ${name}`));
      };
    },
  }) as EventLog;
  const made = createCoordinator({
    log: tricked,
    clock: log.clock,
    workflows: [three],
    boundary,
    onEvent: (event) => void events.push(event as Happened),
  });
  await soon(made.start());
  return { log, made, events, failed: () => failed };
}

const warnings = (events: Happened[], what: string) =>
  events.filter((event) => event.type === "trouble" && event.what?.startsWith(what)).length;

describe("partitions that cannot be taken", () => {
  it("are tried again by one retry for all, less and less often, with one warning in ten seconds", async () => {
    let broken = true;
    const one = await coordinator(
      "c1",
      (method, options) => broken && method === "consume" && options.stream === "EVENTS",
    );
    await pass(60_000);
    expect(one.failed()).toBeGreaterThanOrEqual(5 * PARTITIONS);
    // At most one round in 2.5 s, once the waits have grown.
    expect(one.failed()).toBeLessThanOrEqual(28 * PARTITIONS);
    expect(warnings(one.events, "take a partition")).toBeLessThanOrEqual(7);
    broken = false;
    await pass(5_500);
    expect(one.made.partitions).toHaveLength(PARTITIONS);
  });
});

describe("coordinators that are cut off", () => {
  it("take nobody for gone, and no partition, until they are back", async () => {
    const both = [await coordinator("c1"), await coordinator("c2")] as const;
    await pass(5_000);
    const shares = () => both.map(({ made }) => [...made.partitions]);
    const before = shares();
    expect(before.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, n) => n));
    for (const { events } of both) events.length = 0;
    for (const { log } of both) log.cut(60_000);
    await pass(59_000);
    expect(shares()).toEqual(before);
    await pass(10_000);
    expect(shares()).toEqual(before);
    for (const { events } of both)
      expect(events.filter(({ type }) => type === "partition" || type === "peers")).toEqual([]);
  });

  it("take over from one that has died meanwhile, once they are back", async () => {
    const [one, other] = [await coordinator("c1"), await coordinator("c2")];
    await pass(5_000);
    one.log.cut(30_000);
    other.log.kill();
    await pass(40_000);
    expect(one.made.partitions).toHaveLength(PARTITIONS);
  });
});

describe("a log that refuses, for minutes,", () => {
  const denied = (what: string) =>
    new PermissionDeniedError(what, { operation: "publish", subject: "a.b", needed: "a.>" }, "read");
  it.each(["last", "read", "append", "list"])("parks no run: %s", async (method) => {
    let broken = false;
    const one = await coordinator("c1", (called) => broken && called === method, denied);
    const before = await soon(client.start(three, 1));
    await pass(1_000);
    broken = true;
    const requests = Promise.all([before.cancel({ grace: "1s", timeout: "10m" })]);
    requests.catch(() => {});
    const after = await soon(client.start(three, 2));
    await pass(180_000);
    expect(one.events.filter(({ type }) => type === "parked" || type === "dead")).toEqual([]);
    broken = false;
    await soon(requests);
    const results = [before.result(), after.cancel({ grace: "1s" }).then(() => after.result())];
    for (const result of results) {
      result.catch(() => {});
      await expect(soon(result)).rejects.toMatchObject({ code: "WORKFLOW_CANCELLED" });
    }
  });
});

describe("a slot that is to be abandoned, while its command cannot be removed", () => {
  it("is worked on once, and abandoned when the log is back", async () => {
    let broken = false;
    const one = await coordinator(
      "c1",
      (method, subject) => broken && method === "last" && server.subjects.parse(subject)?.kind === "command",
    );
    const run = await soon(client.start(three, 1));
    await soon(run.cancel({ grace: "1s" }));
    broken = true;
    await pass(120_000);
    // Three slots, each tried again every two seconds at most, of which half is left out.
    expect(one.failed()).toBeGreaterThan(3 * 30);
    expect(one.failed()).toBeLessThan(3 * 130);
    expect(warnings(one.events, "remove a command")).toBeLessThanOrEqual(13);
    broken = false;
    const result = run.result();
    result.catch(() => {});
    await expect(soon(result)).rejects.toMatchObject({ code: "WORKFLOW_CANCELLED" });
  });
});
