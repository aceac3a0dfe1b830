/** Runs that are handed on to the coordinator that knows their workflow: in virtual time. */
import { createBoundary, createCoordinator } from "@stepstream/coordinator";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { type AnyWorkflow, type Client, connect, step, workflow } from "@stepstream/sdk";
import { Chance, countedMacrotask, VirtualClock } from "@stepstream/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { settled } from "./settled.ts";

const RUNS = 16;
const PARTITIONS = 8;
const shape = { input: z.int(), output: z.int(), signals: { go: z.int() } };
/** Its timer is short enough to be kept in memory, on the message that is in hand. */
const nap = workflow("nap", shape, async (n, w) => {
  await w.sleep("2500ms");
  return n;
});
const listen = workflow("listen", shape, async (n, w) => {
  await w.sleep("10ms");
  return n + (await w.waitFor("go"));
});
/** Other code of the same version, which does not fit what `listen` has decided. */
const misfit = workflow("listen", shape, async (n, w) => n + (await w.waitFor("go")));

const never = step("never", { input: z.int(), output: z.int() });
const stuck = workflow("stuck", shape, (n, w) => w.run(never, n));

type Happened = { type: string; run?: string; to?: string };
type Process = { made: ReturnType<typeof createCoordinator>; log: MemoryLog; events: Happened[] };

let clock: VirtualClock;
let server: MemoryServer;
let client: Client;
/** What processes do to the log, and send: a line each. */
let effects: string[];
const boundary = createBoundary(countedMacrotask);
const ids = Array.from({ length: RUNS }, (_, i) => `r${i}`);

beforeEach(async () => {
  clock = new VirtualClock(new Chance(1).next);
  effects = [];
  const faults: Faults = {
    latencyMs: () => 5,
    loses: () => false,
    staleMs: () => 0,
    timerLateMs: () => 0,
    timeoutMs: 2_000,
    onEffect: (process, effect) => void effects.push(`${process} ${effect}`),
  };
  server = new MemoryServer({ namespace: "guests", partitions: PARTITIONS, clock, faults });
  const log = server.connect("client");
  client = await soon(connect({ log, clock: log.clock }));
});

const soon = <T>(promise: Promise<T>) => settled(clock, promise, 600_000);
const pass = (ms: number) => soon(new Promise<void>((resolve) => void clock.setTimeout(resolve, ms)));

async function coordinate(name: string, ...workflows: AnyWorkflow[]): Promise<Process> {
  const log = server.connect(name);
  const events: Happened[] = [];
  const onEvent = (event: Happened) => void events.push(event);
  const settings = { unparkMs: 5_000, idleMs: 4_000 };
  const options = { log, clock: log.clock, workflows, boundary, settings, onEvent };
  const made = createCoordinator(options as Parameters<typeof createCoordinator>[0]);
  await soon(made.start());
  return { made, log, events };
}

const start = async (what: typeof nap | typeof stuck) => {
  for (const id of ids) await soon(client.start(what, 1, { id }));
};
const isParked = (run: string) => server.stream("EVENTS").lastOf(server.subjects.parked(run)) > 0;
const isUndone = (run: string) =>
  server.isUndone(server.subjects.inbox(run), `inbox-${server.subjects.partition(run)}`);
/** One that waits, or one that has come due. */
const hasTimer = (run: string) => [...server.stream("TIMERS").list(">").keys()].some((s) => s.includes(`.${run}.`));
const hasEnded = (run: string) => {
  const seq = server.stream("EVENTS").lastOf(server.subjects.journal(run));
  return seq > 0 && /"Run(Completed|Cancelled|Terminated)"/.test(server.stream("EVENTS").get(seq)!.text);
};
const handedOn = ({ events }: Process) => new Set(events.flatMap((e) => (e.type === "handedOn" ? [e.run] : [])));

describe("runs that wait, parked, for a coordinator that knows their workflow", () => {
  it("have a durable cause at every moment of being handed on, also while a short timer runs", async () => {
    const owner = await coordinate("owner");
    await start(nap);
    await clock.run(() => ids.every((run) => isParked(run) && !isUndone(run)), 10_000);
    await coordinate("guest", nap);
    const without = new Set<string>();
    const ended = await clock.run(() => {
      for (const run of ids) if (!hasEnded(run) && !isParked(run) && !isUndone(run) && !hasTimer(run)) without.add(run);
      return ids.every(hasEnded);
    }, 60_000);
    expect(handedOn(owner).size).toBeGreaterThan(2);
    expect([...without]).toEqual([]);
    expect(ended).toBe(true);
    await pass(10_000);
    expect(ids.filter(isParked)).toEqual([]);
  });

  it("keep their record where the other coordinator has to park them as well, and are tried there again and again", async () => {
    const owner = await coordinate("owner");
    const first = await coordinate("first", listen);
    await start(listen);
    await clock.run(() => ids.every((run) => !isUndone(run)), 10_000);
    first.log.kill();
    const second = await coordinate("second", misfit);
    await pass(4_000);
    for (const run of ids)
      void client
        .get(run)
        .signal("go", 1)
        .catch(() => {});
    const foreign = () => [...handedOn(owner)] as string[];
    await clock.run(() => ids.every((run) => isParked(run)), 30_000);
    expect(foreign().length).toBeGreaterThan(2);
    for (let i = 0; i < 30; i++) {
      await pass(1_000);
      expect(ids.filter((run) => !isParked(run))).toEqual([]);
    }
    expect(owner.events.filter(({ type }) => type === "unparked")).toEqual([]);
    second.log.kill();
    await coordinate("third", listen);
    expect(await clock.run(() => ids.every(hasEnded), 60_000)).toBe(true);
  });
});

describe("runs that another coordinator handles", () => {
  it("are released where their owner has chosen another", async () => {
    const owner = await coordinate("owner");
    await coordinate("first", stuck);
    await start(stuck);
    await clock.run(() => ids.every((run) => !isUndone(run)), 10_000);
    for (const run of ids)
      client
        .get(run)
        .cancel({ reason: "no longer needed", grace: "4s" })
        .catch(() => {});
    await pass(2_000);
    // Some of the runs are now the newcomer's: the other still sees to the ends of their steps.
    const joined = effects.length;
    await coordinate("second", stuck);
    expect(await clock.run(() => ids.every(hasEnded), 60_000)).toBe(true);
    const took = effects.slice(joined).filter((effect) => /^second append guests.journal/.test(effect));
    expect(took.length).toBeGreaterThan(0);
    expect(handedOn(owner).size).toBeGreaterThan(2);
    await pass(30_000);
    const after = effects.length;
    await pass(30_000);
    expect(effects.slice(after).filter((effect) => /^(owner|first|second) .*\.r\d+\b/.test(effect))).toEqual([]);
  });

  it("go to the right one when their id is another workflow's now", async () => {
    const owner = await coordinate("owner");
    const first = await coordinate("first", listen);
    const second = await coordinate("second", nap);
    await start(listen);
    await clock.run(() => ids.every((run) => !isUndone(run)), 10_000);
    const foreign = [...handedOn(owner)] as string[];
    expect(foreign.length).toBeGreaterThan(2);
    for (const run of foreign) {
      await soon(client.get(run).terminate({ reason: "another is to have its id" }));
      await clock.run(() => hasEnded(run), 10_000);
      await soon(client.get(run).delete());
      await soon(client.start(nap, 1, { id: run }));
    }
    expect(await clock.run(() => foreign.every((run) => hasEnded(run) && !isUndone(run)), 30_000)).toBe(true);
    await Promise.all([owner, first, second].map(({ made }) => soon(made.stop())));
  });
});
