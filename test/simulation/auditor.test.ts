/** What the auditor of a partition asks of the log, and when it acts: in virtual time. */
import { createBoundary, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { type Client, connect, step, workflow } from "@stepstream/sdk";
import { Chance, countedMacrotask, VirtualClock } from "@stepstream/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { settled } from "./settled.ts";

const ints = { input: z.int(), output: z.int() };
const never = step("never", ints);
const one = workflow("one", ints, async (n, w) => {
  await w.all([w.run(never, n), w.sleep("24h")]);
  return n;
});

let clock: VirtualClock;
let server: MemoryServer;
let client: Client;
let miscount: boolean;
const boundary = createBoundary(countedMacrotask);

beforeEach(async () => {
  miscount = false;
  clock = new VirtualClock(new Chance(1).next);
  server = new MemoryServer({ namespace: "audit", partitions: 1, clock });
  client = await soon(connect({ log: server.connect("client"), clock }));
});

const soon = <T>(promise: Promise<T>) => settled(clock, promise, 3_600_000);
const pass = (ms: number) => soon(new Promise<void>((resolve) => void clock.setTimeout(resolve, ms)));
/** Stored timers, without deadlines. */
const sleeps = () => [...server.stream("TIMERS").list(">").keys()].filter((subject) => subject.endsWith(".2")).length;
const outstanding = () => server.stream("COMMANDS").size;

/** A coordinator, and all it asks of the log: `<method> <subject, or whatever its first argument is>`. */
async function coordinate() {
  const log = server.connect("c");
  const asked: string[] = [];
  const watched = new Proxy(log, {
    get(target: MemoryLog, key: keyof EventLog) {
      if (key === "count" && miscount) return async () => 1;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        // A broadcast has no answer, and for what was denied no server is asked.
        if (key !== "broadcast" && key !== "denials")
          asked.push(`${key} ${["list", "count"].includes(key) ? args[1] : args[0]}`);
        return value.apply(target, args);
      };
    },
  }) as EventLog;
  const repaired: string[] = [];
  const coordinator = createCoordinator({
    log: watched,
    clock: log.clock,
    workflows: [one],
    boundary,
    onEvent: (event) => {
      if (event.type === "repaired") repaired.push(`${event.run}: ${event.missing.join(", ")}`);
    },
  });
  await soon(coordinator.start());
  return { coordinator, asked, repaired };
}

async function start(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await soon(client.start(one, i, { id: `r${i}` }));
  await pass(1_000);
}

describe("the auditor", () => {
  it("waits for a second look before it repairs anything", async () => {
    const { asked, repaired, coordinator } = await coordinate();
    await start(1);
    server.lose("COMMANDS", () => true);
    const looks = () => asked.filter((what) => what === "list audit.command.*.0.>").length;
    const before = looks();
    await clock.run(() => looks() > before, 60_000);
    await pass(1_000);
    // There again at once: nothing is done about what was missing for a moment.
    expect([outstanding(), repaired]).toEqual([0, []]);
    await clock.run(() => outstanding() > 0, 60_000);
    await pass(1_000);
    expect(looks()).toBe(before + 2);
    expect(repaired).toEqual(["r0: the command of slot 1 (step never)"]);
    await soon(coordinator.stop());
  });

  it("does nothing about what is there again in the second look", async () => {
    const { asked, repaired, coordinator } = await coordinate();
    await start(1);
    const [command] = server.stream("COMMANDS").of("audit.command.never.0.r0.1");
    server.lose("COMMANDS", () => true);
    const looks = () => asked.filter((what) => what === "list audit.command.*.0.>").length;
    const before = looks();
    await clock.run(() => looks() > before, 60_000);
    await pass(1_000);
    server.append(command!.subject, command!.text);
    asked.length = 0;
    await pass(60_000);
    expect(repaired).toEqual([]);
    expect(asked.filter((what) => what.startsWith("append"))).toEqual([]);
    await soon(coordinator.stop());
  });

  it("knows the runs that another coordinator had, and reads each once", async () => {
    const first = await coordinate();
    await start(40);
    await soon(first.coordinator.stop());
    const { asked, repaired, coordinator } = await coordinate();
    await pass(300_000);
    const reads = asked
      .filter((what) => /^(read|lasts) /.test(what))
      .flatMap((what) => what.match(/audit\.inbox\.0\.\w+\.(client|\*)/g) ?? []);
    expect(reads).toHaveLength(40);
    expect(new Set(reads).size).toBe(40);
    server.lose("COMMANDS", () => true);
    server.lose("TIMERS", (subject) => subject.endsWith(".2"));
    await pass(30_000);
    expect(outstanding()).toBe(40);
    expect(repaired.toSorted()).toEqual(
      Array.from({ length: 40 }, (_, i) => `r${i}: the command of slot 1 (step never), the timer of slot 2`).toSorted(),
    );
    await soon(coordinator.stop());
  });

  it("costs a fixed number of requests where nothing is absent", async () => {
    const costs: { all: number; looks: number; each: Record<string, number> }[] = [];
    for (const runs of [5, 300]) {
      server = new MemoryServer({ namespace: "audit", partitions: 1, clock });
      client = await soon(connect({ log: server.connect("client"), clock }));
      const { asked, coordinator } = await coordinate();
      await start(runs);
      // Until all are evicted, and known.
      await pass(180_000);
      asked.length = 0;
      await pass(60_000);
      const looks = asked.filter((what) => what === "list audit.command.*.0.>").length;
      const of = (start: string) => asked.filter((what) => what.startsWith(start)).length;
      const each = { timers: of("list audit.timer") / looks, stranded: of("progress COMMANDS") / looks };
      costs.push({ all: asked.length, looks, each: { ...each, reads: of("read ") + of("last") + of("append") } });
      await soon(coordinator.stop());
    }
    const [few, many] = costs;
    expect(few!.each).toEqual({ timers: 1, stranded: 1, reads: 0 });
    expect(many!.each).toEqual(few!.each);
    // Looks at more come less often.
    expect(few!.looks).toBe(12);
    expect(many!.looks).toBeLessThanOrEqual(5);
    expect(many!.all).toBeLessThan(few!.all);
    expect(few!.all).toBeLessThanOrEqual(220);
  });

  it("lists less and less often what is counted wrong", async () => {
    const { asked, coordinator } = await coordinate();
    await start(600);
    await pass(180_000);
    // Counted, and not listed: as in a partition where messages are always under way.
    miscount = true;
    asked.length = 0;
    await pass(60_000);
    const looks = asked.filter((what) => what === "list audit.command.*.0.>").length;
    // Every 20 s in any case, and after 1, 2, 4, 8 and 16 of 24 counts.
    expect(looks).toBeGreaterThanOrEqual(5);
    expect(looks).toBeLessThanOrEqual(9);
    await soon(coordinator.stop());
  });

  it.each<[string, () => void, () => boolean]>([
    ["commands", () => void server.lose("COMMANDS", () => true), () => outstanding() === 600],
    ["one command", () => void server.lose("COMMANDS", (s) => s.includes(".r77.")), () => outstanding() === 600],
    ["timers", () => void server.lose("TIMERS", () => true), () => sleeps() === 600],
    ["one timer", () => void server.lose("TIMERS", (s) => s.includes(".r99.")), () => sleeps() === 600],
  ])("has %s of many runs stored again within 10 s", async (_what, lose, isHealed) => {
    const { coordinator } = await coordinate();
    await start(600);
    await pass(180_000);
    lose();
    expect(isHealed()).toBe(false);
    expect(await clock.run(isHealed, 10_000)).toBe(true);
    await soon(coordinator.stop());
  });

  it("knows what it has taken over soon, though every twentieth request is lost", async () => {
    const waits: number[] = [];
    for (let seed = 1; seed <= 12; seed++) {
      clock = new VirtualClock(new Chance(seed).next);
      server = new MemoryServer({ namespace: "audit", partitions: 1, clock });
      client = await soon(connect({ log: server.connect("client"), clock }));
      const first = await coordinate();
      await start(40);
      await soon(first.coordinator.stop());
      server.lose("TIMERS", () => true);
      const chance = new Chance(seed);
      server.faults = {
        latencyMs: () => 20,
        loses: () => chance.is(0.05),
        staleMs: () => 0,
        timerLateMs: () => 0,
        timeoutMs: 2_000,
      };
      const { coordinator } = await coordinate();
      const from = clock.now();
      // It stores those of steps as soon as it knows of the steps.
      const deadlines = () => [...server.stream("TIMERS").list(">").keys()].length - sleeps();
      await clock.run(() => deadlines() === 40, 300_000);
      waits.push(Math.round(clock.now() - from));
      await soon(coordinator.stop());
    }
    expect(Math.max(...waits)).toBeLessThan(12_000);
  });
});
