/** Schedules on a real server, with real coordinators that are stopped and killed, and real time. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Decision, type RunEvent } from "@stepstream/contracts";
import { type Coordinator, createCoordinator, replayRun } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, InvalidInputError, RunAlreadyExistsError, RunClosedError } from "@stepstream/sdk";
import { runOfSchedule, type ScheduleHandle, Schedules, scheduleWorkflow } from "@stepstream/sdk/schedule";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { broken, patient, quick, scheduled } from "./programs/scheduled.ts";

const PROGRAM = new URL("programs/schedule-coordinator.ts", import.meta.url).pathname;

let server: TestServer;
let namespace: string;
let log: EventLog;
let client: Client;
let schedules: Schedules;
const coordinators: Coordinator[] = [];
const children: ChildProcess[] = [];
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

beforeEach(async () => {
  namespace = `sched-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  schedules = new Schedules(client);
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
  await client.close();
  await log.close();
});

async function start(): Promise<Coordinator> {
  const coordinator = createCoordinator({ nats: server.url, namespace, workflows: scheduled });
  coordinators.push(coordinator);
  return coordinator.start();
}

async function program(die: string): Promise<ChildProcess> {
  const env = { ...process.env, NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace, DIE: die };
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  for await (const line of createInterface(child.stdout!)) if (line === "ready") break;
  return child;
}

async function journalOf(id: string): Promise<RunEvent[]> {
  const stored = await log.read(log.subjects.journal(runOfSchedule(id)), { fresh: true });
  return stored.flatMap(({ text }) => Decision.parse(JSON.parse(text)).events);
}

/** Waits until the schedule's journal says so. */
async function until(id: string, enough: (events: RunEvent[]) => boolean): Promise<RunEvent[]> {
  let heard = Promise.withResolvers<void>();
  const follow = log.followJournal(runOfSchedule(id), () => heard.resolve());
  try {
    for (;;) {
      heard = Promise.withResolvers<void>();
      const events = await journalOf(id);
      if (enough(events)) return events;
      await heard.promise;
    }
  } finally {
    follow.stop();
  }
}

const startsIn = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "ChildScheduled" ? [event.run] : []));
/** Waits until so many runs have been started, and are there. */
async function started(id: string, n: number): Promise<string[]> {
  const runs = startsIn(await until(id, (events) => startsIn(events).length >= n));
  for (const run of runs)
    await expect.poll(() => log.last(log.subjects.inbox(run), { fresh: true }), { interval: 5 }).toBeDefined();
  return runs;
}

/** The time that a run's id names, epoch ms. */
function timeOf(run: string): number {
  const [, y, mo, d, h, mi, s, ms = "0"] = /-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})?Z$/.exec(run)!;
  return Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s), Number(ms));
}

/** One run for each of consecutive times, none before its time; and the schedule's history is replayed to the same. */
async function expectSound(id: string, everyMs: number, runs: string[]): Promise<void> {
  const times = runs.map(timeOf);
  expect(times).toEqual(times.map((_, i) => times[0]! + i * everyMs));
  for (const run of runs) {
    const { startedAt, workflow } = await client.get(run).status();
    expect(startedAt).toBeGreaterThanOrEqual(timeOf(run));
    expect(workflow).toBe("quick");
  }
  await expectReplayed(id);
}

async function expectReplayed(id: string): Promise<void> {
  const run = runOfSchedule(id);
  const inbox = (await log.read(log.subjects.inbox(run))).map(({ seq, at, text }) => ({
    seq,
    at,
    message: JSON.parse(text),
  }));
  const decisions = (await log.read(log.subjects.journal(run))).map(({ text }) => Decision.parse(JSON.parse(text)));
  expect(await replayRun(scheduleWorkflow, { run, inbox, decisions })).toBeUndefined();
}

const outcomes = async (handle: ScheduleHandle) => (await handle.describe()).recent.map(({ outcome }) => outcome);

describe("a schedule on a real server", () => {
  it("starts one run at each time, not before it, whichever coordinator has it", async () => {
    await Promise.all([start(), start()]);
    const handle = await schedules.create("each", { every: "250ms", limit: 8, workflow: quick });
    const told = await client.handle(scheduleWorkflow, handle.runId).result();
    expect(told).toMatchObject({ over: true, left: 0, counts: { started: 8, completed: 8, skipped: 0, missed: 0 } });
    const runs = told.recent.map(({ run }) => run).reverse();
    expect(runs).toHaveLength(8);
    await expectSound("each", 250, runs);
    const late = told.recent.map(({ at, startedAt }) => startedAt - at);
    console.log(`8 runs, ${Math.min(...late)} to ${Math.max(...late)} ms after their time`);
    // It can be asked after its end, and is not there any more.
    expect(await handle.describe()).toMatchObject({ over: true, next: [], counts: { completed: 8 } });
    expect(await schedules.list()).toEqual([]);
    await expect(handle.trigger()).rejects.toThrow(RunClosedError);
  });

  it("goes by cron, by the second", async () => {
    await start();
    await schedules.create("cron", { cron: "* * * * * *", timezone: "Asia/Kathmandu", limit: 3, workflow: quick });
    await expectSound("cron", 1_000, await started("cron", 3));
  });

  it("tells what comes, and how what it started has ended", async () => {
    await start();
    const handle = await schedules.create("told", {
      cron: "0 2 * * *",
      timezone: "Europe/Berlin",
      overlap: "allow-all",
      note: "as agreed",
      workflow: broken,
    });
    const { run } = await handle.trigger();
    await expect(client.get(run).result()).rejects.toThrow("by design");
    await until("told", (events) => events.some((event) => event.type === "UpdateCompleted"));
    const told = await handle.describe();
    expect(told).toMatchObject({ id: "told", note: "as agreed", paused: false, over: false, waiting: 0 });
    expect(told.action).toEqual({ workflow: "broken", version: 1, idPrefix: "told" });
    expect(told.next).toHaveLength(10);
    for (const time of told.next)
      expect(new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", timeStyle: "medium" }).format(time)).toBe(
        "02:00:00",
      );
    expect(await schedules.list()).toEqual([{ id: "told", status: "running", createdAt: expect.any(Number) }]);
  });
});

describe("a coordinator that is killed", () => {
  it.each(["inbox:1", "inbox:2", "inbox:3", "journal:2", "journal:4"])(
    "right after %s is stored: no time is lost, none is started twice",
    async (die) => {
      const child = await program(die);
      await schedules.create("killed", { every: "500ms", limit: 5, overlap: "allow-all", workflow: quick });
      await once(child, "exit");
      expect(child.signalCode).toBe("SIGKILL");
      await start();
      const told = await client.handle(scheduleWorkflow, runOfSchedule("killed")).result();
      expect(told.counts).toMatchObject({ started: 5, existing: 0, missed: 0, skipped: 0 });
      const runs = startsIn(await journalOf("killed"));
      for (const run of runs) expect(await client.handle(quick, run).result()).toBeGreaterThanOrEqual(timeOf(run));
      await expectSound("killed", 500, runs);
    },
  );

  it("while nobody is there, times come: those of the last 2 seconds are made up for, the others missed", async () => {
    const first = await start();
    const handle = await schedules.create("away", {
      every: "500ms",
      overlap: "allow-all",
      catchUp: "2s",
      workflow: quick,
    });
    await started("away", 1);
    await first.stop();
    const before = startsIn(await journalOf("away"));
    await sleep(5_000);
    await start();
    const runs = await started("away", before.length + 4);
    const { counts } = await handle.describe();
    const times = runs.map(timeOf);
    const gap = times[before.length]! - times[before.length - 1]!;
    expect(gap).toBeGreaterThanOrEqual(3_000);
    expect(counts.missed).toBe(gap / 500 - 1);
    expect(new Set(runs).size).toBe(runs.length);
    await expectReplayed("away");
  });
});

describe("nats-server that is killed", () => {
  it("loses no time and doubles none", async () => {
    await start();
    await schedules.create("server", { every: "500ms", limit: 6, overlap: "allow-all", workflow: quick });
    await started("server", 2);
    await server.kill();
    await sleep(1_500);
    await server.restart();
    const told = await client.handle(scheduleWorkflow, runOfSchedule("server")).result();
    expect(told.counts).toMatchObject({ started: 6, existing: 0, missed: 0, skipped: 0 });
    const runs = startsIn(await journalOf("server"));
    for (const run of runs) await client.handle(quick, run).result();
    await expectSound("server", 500, runs);
  });
});

describe("a time that comes while a run is on", () => {
  const every = "400ms";

  it("is skipped", async () => {
    await start();
    const handle = await schedules.create("skip", { every, workflow: patient, input: { n: 1 } });
    const [first] = await started("skip", 1);
    await sleep(1_300);
    await client.handle(patient, first!).signal("go");
    const [, second] = await started("skip", 2);
    expect(timeOf(second!) - timeOf(first!)).toBeGreaterThanOrEqual(1_600);
    const told = await handle.describe();
    expect(told.counts.skipped).toBe((timeOf(second!) - timeOf(first!)) / 400 - 1);
    expect(told).toMatchObject({ running: [second], recent: [{ run: second }, { run: first, outcome: "completed" }] });
  });

  it("waits", async () => {
    await start();
    const handle = await schedules.create("wait", { every, overlap: "buffer-all", workflow: patient, input: { n: 1 } });
    for (let n = 1; n <= 4; n++) {
      const run = (await started("wait", n))[n - 1]!;
      if (n === 1) await sleep(1_300);
      await client.handle(patient, run).signal("go");
    }
    const runs = (await started("wait", 5)).slice(0, 5);
    expect(runs.map(timeOf)).toEqual(runs.map((_, i) => timeOf(runs[0]!) + i * 400));
    expect((await handle.describe()).counts).toMatchObject({ skipped: 0, missed: 0 });
  });

  it.each([
    ["cancel-other", "cancelled"],
    ["terminate-other", "terminated"],
  ] as const)("%s: stops the run, and starts when it has ended", async (overlap, outcome) => {
    await start();
    const handle = await schedules.create("other", { every, overlap, workflow: patient, input: { n: 1 } });
    const [first, second, third] = await started("other", 3);
    expect(await client.get(first!).status()).toMatchObject({ status: outcome });
    const [ended, begun] = await Promise.all([first!, second!].map((run) => client.get(run).status()));
    expect(begun!.startedAt).toBeGreaterThanOrEqual(ended!.endedAt!);
    expect(timeOf(third!) - timeOf(first!)).toBe(800);
    expect((await outcomes(handle)).slice(-2)).toEqual([outcome, outcome]);
    // Its last run is left alone.
    await handle.delete();
    const { run } = (await handle.describe()).recent[0]!;
    expect(await client.get(run).status()).toMatchObject({ status: "running" });
    await client.handle(patient, run).signal("go");
    expect(await client.handle(patient, run).result()).toBe(1);
    await client.handle(scheduleWorkflow, handle.runId).result();
  });
});

describe("a schedule in the hands of people", () => {
  const never = "2099-01-01T00:00:00Z";

  it("pauses, starts by hand, and goes on", async () => {
    await start();
    const handle = await schedules.create("hands", { every: "200ms", paused: true, workflow: quick });
    const { run, outcome } = await handle.trigger();
    expect(run).toMatch(/^hands-t-\d{8}T\d{6,9}Z$/);
    expect(outcome).toBe("started");
    // Decided on, and about to be: its start is stored after the schedule has answered.
    await started("hands", 1);
    await client.handle(quick, run).result();
    expect(await handle.describe()).toMatchObject({ paused: true, counts: { started: 1 } });
    await handle.resume("go");
    await started("hands", 3);
    await handle.pause("enough");
    const { counts, note } = await handle.describe();
    await sleep(600);
    expect((await handle.describe()).counts).toEqual(expect.objectContaining({ started: counts.started }));
    expect(note).toBe("enough");
    // The same trigger, said again, is one.
    const again = await Promise.all([handle.trigger({ id: "t" }), handle.trigger({ id: "t" })]);
    expect(again[0]).toEqual(again[1]);
    await expectReplayed("hands");
  });

  it("backfills through a change of clocks, and gives no time a second run", async () => {
    await start();
    const handle = await schedules.create("fill", {
      cron: "30 2 * * *",
      timezone: "Europe/Berlin",
      startAt: never,
      workflow: quick,
    });
    const range = { from: "2026-03-28T00:00:00Z", to: new Date("2026-03-30T12:00:00Z") };
    expect(await handle.backfill(range)).toEqual({ started: 1, waiting: 2, skipped: 0 });
    const runs = await started("fill", 3);
    expect(runs).toEqual(["fill-20260328T013000Z", "fill-20260329T013000Z", "fill-20260330T003000Z"]);
    for (const run of runs) await client.handle(quick, run).result();
    await handle.backfill(range);
    await started("fill", 6);
    await expect.poll(async () => (await handle.describe()).counts.existing).toBe(3);
    expect((await handle.describe()).counts).toMatchObject({ started: 6, completed: 3, existing: 3 });
    await expectReplayed("fill");
  });

  it("lives through 450 runs, one after the other, in more than one life", async () => {
    await Promise.all([start(), start()]);
    const handle = await schedules.create("long", { every: "1m", startAt: never, workflow: quick });
    const to = Date.parse("2026-11-01T00:00:00Z");
    await handle.backfill({ from: to - 449 * 60_000, to });
    const runs = await started("long", 450);
    const events = await journalOf("long");
    expect(events.filter((event) => event.type === "RunContinued").length).toBeGreaterThanOrEqual(2);
    expect(runs.map(timeOf)).toEqual(runs.map((_, i) => to - (449 - i) * 60_000));
    await client.handle(quick, runs.at(-1)!).result();
    await expect.poll(async () => (await handle.describe()).counts.completed).toBe(450);
    expect(await handle.describe()).toMatchObject({ running: [], waiting: 0, counts: { started: 450, existing: 0 } });
    await expectReplayed("long");
  });

  it("changes, also by being made again; the same again changes nothing", async () => {
    await start();
    const first = await schedules.create("deploy", { cron: "0 0 1 1 *", startAt: never, workflow: quick });
    await expect(schedules.create("deploy", { every: "1h", workflow: quick })).rejects.toThrow(RunAlreadyExistsError);
    const said = { every: "300ms", limit: 2, onConflict: "change", workflow: patient, input: { n: 5 } } as const;
    await schedules.create("deploy", said);
    const [run] = await started("deploy", 1);
    await schedules.create("deploy", said);
    expect(await first.describe()).toMatchObject({ left: 1, action: { workflow: "patient", input: { n: 5 } } });
    await client.handle(patient, run!).signal("go");
    const [, second] = await started("deploy", 2);
    await client.handle(patient, second!).signal("go");
    expect(await client.handle(scheduleWorkflow, first.runId).result()).toMatchObject({ counts: { completed: 2 } });
  });

  it("is deleted once, and its run goes on", async () => {
    await start();
    const handle = await schedules.create("gone", { every: "300ms", workflow: patient, input: { n: 3 } });
    const [run] = await started("gone", 1);
    await handle.delete();
    await client.handle(scheduleWorkflow, handle.runId).result();
    await handle.delete();
    expect(await client.get(run!).status()).toMatchObject({ status: "running" });
    await client.handle(patient, run!).signal("go");
    expect(await client.handle(patient, run!).result()).toBe(3);
    expect(await handle.describe()).toMatchObject({ over: true, running: [], recent: [{ outcome: "completed" }] });
    // Its id is free once its history is deleted.
    await handle.delete({ history: true });
    await expect(handle.describe()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    await schedules.create("gone", { every: "1h", workflow: quick });
    expect(await handle.describe()).toMatchObject({ over: false, counts: { started: 0 } });
  });
});

describe("what makes no sense is not sent", () => {
  it.each([
    [{ cron: "0 25 * * *" }, "cron", /character 3, "25" \(field 2, hour\)/],
    [{ cron: ["0 1 * * *", "0 0 31 2 *"] }, "cron[1]", /names no day that exists/],
    [{ cron: "0 1 * * *", timezone: "Europe/Atlantis" }, "timezone", /no time zone/],
    [{}, "cron", /says no time/],
    [{ every: "10ms" }, "every", /at least 100/],
    [{ every: "1 hour" }, "every", /duration/],
    [{ cron: "@daily", offset: "1h" }, "offset", /every/],
    [{ every: "1h", startAt: "2026-11-23 02:00" }, "startAt", /ISO 8601/],
    [{ every: "1h", startAt: 5, endAt: 4 }, "endAt", /before startAt/],
    [{ every: "1h", limit: 0 }, "limit", /./],
    [{ every: "1h", overlap: "buffer" }, "overlap", /./],
    [{ every: "1h", idPrefix: "a.b" }, "idPrefix", /./],
    [{ every: "1h", input: { n: "one" } }, "input.n", /./],
  ])("%j", async (said, path, message) => {
    const options = { workflow: patient, input: { n: 1 }, ...said } as any;
    const failure = await schedules.create("bad", options).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InvalidInputError);
    expect(failure).toMatchObject({ path, message: expect.stringMatching(message) });
    await expect(client.get(runOfSchedule("bad")).status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
  });

  it("nor an option that does not exist", async () => {
    const options = { workflow: quick, every: "1h", evry: 1 } as any;
    await expect(schedules.create("bad", options)).rejects.toThrow(/"evry".*Did you mean "every"/);
  });

  it("nor an id that is none", async () => {
    expect(() => schedules.get("a.b")).toThrow(/1 to 42/);
    await expect(schedules.create("x".repeat(43), { every: "1h", workflow: quick })).rejects.toThrow(RangeError);
  });
});

/** Never called: what a program may say is checked by the compiler. */
export async function typed(): Promise<void> {
  await schedules.create("s", { every: "1h", workflow: quick });
  await schedules.create("s", { every: "1h", workflow: patient, input: { n: 1 } });
  // @ts-expect-error A patient workflow needs its number.
  await schedules.create("s", { every: "1h", workflow: patient });
  // @ts-expect-error It is a number.
  await schedules.create("s", { every: "1h", workflow: patient, input: { n: "1" } });
  // @ts-expect-error An hour is written "1h".
  await schedules.create("s", { every: "1 hour", workflow: quick });
  // @ts-expect-error There is no such policy.
  await schedules.create("s", { every: "1h", overlap: "queue", workflow: quick });
  await schedules.get("s").change({ every: "2h" });
  await schedules.get("s").change({ every: "2h", workflow: patient, input: { n: 1 } });
  // @ts-expect-error An input belongs to a workflow.
  await schedules.get("s").change({ every: "2h", input: { n: 1 } });
}
