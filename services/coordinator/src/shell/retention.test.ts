import {
  type InboxMessage,
  type Outcome,
  type Retention,
  type RunEvent,
  RunNotFoundError,
  retentionOf,
} from "@stepstream/contracts";
import { type EventLog, systemClock } from "@stepstream/event-log";
import { MemoryServer } from "@stepstream/event-log/memory";
import { deleteRun } from "@stepstream/sdk/ended-run";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ArchivedRun } from "./archived-run.ts";
import { DEFAULTS, type Deps } from "./deps.ts";
import { RetentionKeeper } from "./retention.ts";

const LOOK_MS = 10;

let server: MemoryServer;
let log: EventLog;
let keepers: RetentionKeeper[];
let warnings: string[];
let removed: number;

beforeEach(() => {
  server = new MemoryServer({ partitions: 2 });
  server.retention = retentionOf(["0ms"]);
  log = server.connect("client");
  keepers = [];
  warnings = [];
  removed = 0;
});
afterEach(() => Promise.all(keepers.map((keeper) => keeper.stop())));

function keep(
  archive?: Deps["archive"],
  settings: Partial<Deps["settings"]> = {},
  of: EventLog = log,
): RetentionKeeper {
  const keeper = new RetentionKeeper({
    log: of,
    clock: systemClock,
    serverClock: { now: () => Date.now() },
    settings: { ...DEFAULTS, retentionMs: LOOK_MS, removalsPerSecond: 10_000, ...settings },
    archive,
    warn: (what: string, error: Error) => void warnings.push(`${what}: ${error.message}`),
    emit: (event: { type: string; runs: number }) => {
      removed += event.runs;
    },
  } as unknown as Deps);
  keepers.push(keeper);
  keeper.start();
  return keeper;
}

const ENDS: Record<Outcome, RunEvent> = {
  completed: { type: "RunCompleted", output: 1 },
  failed: { type: "RunFailed", error: { code: "ERROR", message: "no", name: "Error" } as never },
  cancelled: { type: "RunCancelled", reason: "no" },
  terminated: { type: "RunTerminated", reason: "no" },
};

/** Stores a run: its start and, if it has ended, that. */
async function run(id: string, outcome?: Outcome, workflow = "order", parent?: string): Promise<void> {
  const { subjects } = log;
  const start = { v: 1, type: "RunStarted", id, workflow, version: 1, input: {} } as const;
  const whole: InboxMessage = { ...start, ...(parent && { parent: { run: parent, slot: 1 } }) };
  const { seq } = await log.append(subjects.inboxFrom("client", id), JSON.stringify(whole), { expectLast: 0 });
  const decide = (events: RunEvent[]) =>
    log.append(subjects.journal(id), JSON.stringify({ v: 1, type: "Decision", upTo: seq, by: "c", events }));
  await decide([{ type: "StepScheduled", slot: 1, step: "charge", input: {} }]);
  await log.append(subjects.attempts(id, 1), "{}");
  if (outcome) await decide([ENDS[outcome]]);
}

async function left(): Promise<string[]> {
  const stored = await log.list("EVENTS", `${log.subjects.namespace}.>`);
  return [...new Set([...stored.keys()].map((subject) => log.subjects.parse(subject)!.run!))].sort();
}

const until = (runs: string[]) => expect.poll(left, { timeout: 5_000, interval: 5 }).toEqual(runs);
/** So long that a keeper has looked several times. */
const looks = (n = 5) => new Promise((resolve) => setTimeout(resolve, n * LOOK_MS));

describe("ended runs", () => {
  it("are removed whole, in whatever way they ended; others stay (N1)", async () => {
    for (const outcome of Object.keys(ENDS) as Outcome[]) await run(`r-${outcome}`, outcome);
    await run("going");
    keep();
    await until(["going"]);
    expect(removed).toBe(4);
    expect(warnings).toEqual([]);
  });

  it("are removed by the rule of their workflow and outcome, and stay where none is for them", async () => {
    server.retention = retentionOf(["order=0ms", "order/failed=1d", "ship/completed=2"]);
    await run("a", "completed");
    await run("b", "failed");
    for (const id of ["s1", "s2", "s3", "s4"]) await run(id, "completed", "ship");
    await run("t", "failed", "ship");
    keep();
    await until(["b", "s3", "s4", "t"]);
    await run("s5", "completed", "ship");
    await until(["b", "s4", "s5", "t"]);
  });

  it("stay while their age is not over", async () => {
    server.retention = retentionOf(["400ms"]);
    const since = Date.now();
    await run("a", "completed");
    keep();
    await until([]);
    expect(Date.now() - since).toBeGreaterThanOrEqual(399);
  });

  it("stay where the retention is taken away, and go by another as soon as there is one", async () => {
    server.retention = retentionOf(["1d"]);
    await run("a", "completed");
    await run("b", "failed");
    keep();
    await looks();
    expect(await left()).toEqual(["a", "b"]);
    server.retention = retentionOf(["*/failed=0ms"]);
    await until(["a"]);
    server.retention = retentionOf(["1d"]);
    await looks();
    await run("c", "failed");
    await looks();
    expect(await left()).toEqual(["a", "c"]);
  });

  it("that another is removing at the same time are no trouble", async () => {
    for (let i = 0; i < 50; i++) await run(`r${i}`, "completed");
    keep();
    keep(undefined, {}, server.connect("other"));
    await until([]);
    expect(warnings).toEqual([]);
  });

  it("of an id that is used again go, and its new run stays", async () => {
    await run("a", "completed");
    server.retention = retentionOf(["300ms"]);
    keep();
    await looks();
    for (const subject of [log.subjects.inbox("a"), log.subjects.journal("a"), log.subjects.attempts("a", 1)])
      await log.remove(subject);
    await run("a");
    await looks(50);
    expect(await left()).toEqual(["a"]);
    expect(await log.read(log.subjects.inbox("a"))).toHaveLength(1);
  });

  it("are not removed for the end of the run that had their id before", async () => {
    await run("a", "completed");
    const [, end] = await log.read(log.subjects.journal("a"));
    const context = { log, clock: systemClock };
    await expect(deleteRun(context, "a", { end: end!.seq - 1 })).rejects.toThrow(RunNotFoundError);
    expect(await left()).toEqual(["a"]);
    expect(await deleteRun(context, "a", { end: end!.seq })).toEqual({ slots: 1, messages: 4 });
  });

  it("are removed at most so many in a second (N5)", async () => {
    for (let i = 0; i < 40; i++) await run(`r${i}`, "completed");
    const since = performance.now();
    keep(undefined, { removalsPerSecond: 100 });
    await until([]);
    expect(performance.now() - since).toBeGreaterThan(300);
  });

  it("that cannot be read are left alone", async () => {
    await log.append(log.subjects.inboxFrom("client", "a"), "what is this");
    await log.append(log.subjects.journal("a"), '{"v":1,"type":"Decision","events":[{"type":"RunCompleted"}]}');
    await run("b", "completed");
    keep();
    await until(["a"]);
  });
});

describe("by count", () => {
  it("none is removed while others have deleted runs, until all is read again (N4)", async () => {
    server.retention = retentionOf(["3"]);
    for (const id of ["a", "b", "c"]) await run(id, "completed");
    keep();
    await looks();
    // By hand, of the newest.
    for (const id of ["b", "c"])
      for (const subject of [log.subjects.inbox(id), log.subjects.journal(id), log.subjects.attempts(id, 1)])
        await log.remove(subject);
    for (const id of ["d", "e"]) await run(id, "completed");
    await looks(30);
    expect(await left()).toEqual(["a", "d", "e"]);
    await run("f", "completed");
    await until(["d", "e", "f"]);
  });
});

describe("a child", () => {
  it("stays until its parent has its end (N2)", async () => {
    await run("mum");
    await run("kid", "completed", "order", "mum");
    await run("orphan", "completed", "order", "nobody");
    await run("done", "failed");
    keep();
    await until(["kid", "mum"]);
    await looks();
    expect(await left()).toEqual(["kid", "mum"]);
    const ended = { v: 1, type: "ChildEnded", slot: 1, child: "kid", outcome: "completed", output: 1 };
    await log.append(log.subjects.inboxFrom("coordinator", "mum"), JSON.stringify(ended));
    await until(["mum"]);
  });
});

describe("with an archive", () => {
  const archived = (policy: string[]): Retention => retentionOf(policy, true);

  it("a run is removed once its history is there (N3)", async () => {
    server.retention = archived(["0ms"]);
    await run("a", "failed");
    const kept: ArchivedRun[] = [];
    const writing = Promise.withResolvers<void>();
    keep(async (run) => {
      kept.push(run);
      await writing.promise;
    });
    await expect.poll(() => kept.length).toBe(1);
    await looks();
    expect(await left()).toEqual(["a"]);
    writing.resolve();
    await until([]);
    expect(kept).toHaveLength(1);
    expect(kept[0]).toMatchObject({ run: "a", namespace: "test", workflow: "order@1", outcome: "failed" });
    expect(kept[0]!.history.map(({ kind }) => kind)).toEqual(["inbox", "journal", "malformed", "journal"]);
    expect(Date.parse(kept[0]!.endedAt)).toBeGreaterThanOrEqual(Date.parse(kept[0]!.startedAt));
  });

  it("that fails nothing is removed, and it is tried again", async () => {
    server.retention = archived(["0ms"]);
    await run("a", "completed");
    let fails = 3;
    keep(() => {
      if (fails-- > 0) throw new Error("the disk is full");
    });
    await until([]);
    expect(warnings).toEqual(Array(3).fill("remove an ended run: the disk is full"));
  });

  it("that a coordinator does not have it removes nothing, and says so", async () => {
    server.retention = archived(["0ms"]);
    await run("a", "completed");
    keep();
    await looks();
    expect(await left()).toEqual(["a"]);
    expect(warnings[0]).toContain("this coordinator has none");
  });
});
