/** Signals, queries, updates, children, cancellation and new lives, on a real server with the real processes' code. */

import { type Coordinator, type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import {
  type AnyWorkflow,
  ChildError,
  type Client,
  connect,
  QueryFailedError,
  QueryUnansweredError,
  RunClosedError,
  SignalRefusedError,
  step,
  TimeoutError,
  UpdateRefusedError,
  WorkflowCancelledError,
  WorkflowTerminatedError,
  workflow,
} from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const add = step("add", { input: z.number(), output: z.number() });
/** Ends when it is told to stop; or, if it is deaf, when the test says so. */
const wait = step("wait", { input: z.object({ deaf: z.boolean() }), output: z.string() });
const undo = step("undo", { input: z.string(), output: z.void() });
const nothing = { input: z.any(), output: z.any() };

const approval = workflow(
  "approval",
  {
    input: z.object({ wait: z.number().optional() }),
    output: z.object({ by: z.string().optional(), limit: z.number() }),
    signals: { approve: z.object({ by: z.string() }) },
    queries: { limit: z.number(), over: { input: z.number(), output: z.boolean() }, bad: z.number(), big: z.string() },
    updates: { raise: { input: z.number(), output: z.number() } },
  },
  async (input, w) => {
    let limit = 1;
    w.onQuery("limit", () => limit);
    w.onQuery("over", (n) => n > limit);
    w.onQuery("big", () => "x".repeat(2_000_000));
    w.onQuery("bad", () => {
      throw new RangeError("no idea");
    });
    w.onUpdate(
      "raise",
      async (by) => {
        limit = await w.run(add, limit + by - 1);
        return limit;
      },
      {
        validate(by) {
          if (by <= 0) throw new RangeError("only upwards");
        },
      },
    );
    const approved =
      input.wait === undefined ? await w.waitFor("approve") : await w.waitFor("approve", { timeout: input.wait });
    return { by: approved?.by, limit };
  },
);

const leaf = workflow("leaf", { input: z.object({ how: z.string() }), output: z.number() }, async ({ how }, w) => {
  if (how === "fail") throw new Error("the leaf fell");
  if (how === "wait") await w.run(wait, { deaf: false });
  if (how === "compensate") {
    w.compensate(undo, w.runId);
    await w.run(wait, { deaf: false });
  }
  return w.run(add, 41);
});
const tree = workflow(
  "tree",
  {
    input: z.object({
      how: z.string(),
      id: z.string().optional(),
      onParentClose: z.enum(["cancel", "terminate", "abandon"]).optional(),
    }),
    output: z.number(),
  },
  ({ how, ...options }, w) => w.child(leaf, { how }, options),
);
const relay = workflow(
  "relay",
  { input: z.int(), output: z.number(), signals: { go: z.void() }, queries: { length: z.number() } },
  async (n, w) => {
    w.onQuery("length", () => w.history.length);
    await w.run(add, n);
    if (n % 5 === 0) await w.waitFor("go");
    return n < 12 ? w.continueAsNew(n + 1) : n;
  },
);
const stubborn = workflow(
  "stubborn",
  { input: z.object({ deaf: z.boolean() }), output: z.any() },
  async ({ deaf }, w) => {
    w.compensate(undo, "compensated");
    try {
      await w.run(wait, { deaf });
    } finally {
      await w.uncancellable(() => w.run(undo, "cleaned up"));
    }
  },
);
const scopes = workflow("scopes", nothing, async (_input, w) => {
  const first = await w.race([w.scope(() => w.run(wait, { deaf: false })), w.run(add, 1)]);
  const [late] = await w.allSettled([w.scope(() => w.run(wait, { deaf: false }), { timeout: "200ms" })]);
  return [first, late.status === "rejected" && late.reason.message];
});
const dreamer = workflow("dreamer", nothing, (_input, w) => w.sleep("365d"));
const all: AnyWorkflow[] = [approval, leaf, tree, relay, stubborn, scopes, dreamer];

let server: TestServer;
let namespace: string;
let log: EventLog;
let client: Client;
let worker: Worker;
let undone: string[];
let stopped: number;
let release: () => void;
const coordinators: Coordinator[] = [];
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

beforeEach(async () => {
  namespace = `outside-${process.pid}-${++count}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 4 });
  client = await connect({ log });
  undone = [];
  stopped = 0;
  const logger = { info() {}, warn() {}, error() {} };
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  worker = await createWorker({ nats: server.url, namespace, logger })
    .handle(add, async (n) => n + 1)
    .handle(wait, async ({ deaf }, { signal }) => {
      if (deaf) {
        await released;
        return "late";
      }
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      stopped++;
      throw signal.reason;
    })
    .handle(undo, async (what) => void undone.push(what))
    .start();
});

afterEach(async () => {
  release();
  await Promise.all(coordinators.splice(0).map((coordinator) => coordinator.stop()));
  await worker.stop({ drainMs: 0 });
  await client.close();
  await log.close();
});

async function start(options: Partial<Parameters<typeof createCoordinator>[0]> = {}): Promise<Coordinator> {
  const coordinator = createCoordinator({ nats: server.url, namespace, workflows: all, ...options });
  coordinators.push(coordinator);
  return coordinator.start();
}

/** Resolves when the run has decided something of this type. */
async function decided(run: string, type: string): Promise<void> {
  const has = (text: string) => text.includes(`"type":"${type}"`);
  const heard = Promise.withResolvers<void>();
  const follow = log.followJournal(run, ({ text }) => has(text) && heard.resolve());
  if ((await log.read(log.subjects.journal(run))).some(({ text }) => has(text))) heard.resolve();
  await heard.promise;
  follow.stop();
}

describe("a signal", () => {
  it("reaches a run that waits, and one that is sent before anybody waits", async () => {
    const run = await client.start(approval, {}, { id: "early" });
    const sent = run.signal("approve", { by: "eva" });
    await start();
    await sent;
    expect(await run.result()).toEqual({ by: "eva", limit: 1 });
  });

  it("survives the coordinator: the run is rebuilt and takes it", async () => {
    const first = await start();
    const run = await client.start(approval, {});
    await expect(run.query("limit")).resolves.toBe(1);
    await first.stop();
    await start();
    await run.signal("approve", { by: "eva" });
    expect((await run.result()).by).toBe("eva");
  });

  it("is refused where it does not fit, is unknown, or comes too late", async () => {
    await start();
    const run = await client.start(approval, {}, { id: "picky" });
    const anything = client.get("picky");
    await expect(run.signal("approve", { by: 7 } as any)).rejects.toMatchObject({ code: "INVALID_INPUT", path: "by" });
    await expect(anything.signal("approve", { by: 7 })).rejects.toThrow(SignalRefusedError);
    await expect(anything.signal("aprove", {})).rejects.toThrow(/declares no signal "aprove"; it has approve/);
    await run.signal("approve", { by: "eva" });
    await run.result();
    await expect(run.signal("approve", { by: "late" })).rejects.toThrow(RunClosedError);
    await expect(client.get("nobody").signal("approve", {})).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
  });

  it("that does not come ends the wait with undefined", async () => {
    await start();
    const run = await client.start(approval, { wait: 300 });
    expect(await run.result()).toEqual({ limit: 1 });
  });
});

describe("a query", () => {
  it("is answered by a live run, by one that is not in memory, and after the end; nothing is written", async () => {
    const first = await start();
    const run = await client.start(approval, {}, { id: "asked" });
    expect(await run.query("limit")).toBe(1);
    expect(await run.query("over", 5)).toBe(true);
    await first.stop();
    await start();
    const before = await log.list("EVENTS", log.subjects.journal("asked"));
    expect(await run.query("over", 0)).toBe(false);
    expect(await log.list("EVENTS", log.subjects.journal("asked"))).toEqual(before);
    await run.signal("approve", { by: "eva" });
    await run.result();
    expect(await run.query("limit")).toBe(1);
  });

  it("says what is wrong with it", async () => {
    await expect(
      (await client.start(approval, {}, { id: "alone" })).query("limit", undefined, { timeout: "300ms" }),
    ).rejects.toThrow(QueryUnansweredError);
    await start();
    const run = client.handle(approval, "alone");
    await expect(run.query("bad")).rejects.toThrow(QueryFailedError);
    await expect(run.query("bad")).rejects.toThrow(/no idea/);
    await expect(run.query("big")).rejects.toThrow(/Refused its answer: it has 2\d{6} bytes, and the limit is 1000000/);
    await expect(client.get("alone").query("nothing")).rejects.toThrow(/declares no query "nothing"/);
    await expect(client.get("nobody").query("limit", undefined, { timeout: "1s" })).rejects.toMatchObject({
      code: "RUN_NOT_FOUND",
    });
  });
});

describe("an update", () => {
  it("changes the run, and is answered with what it came to", async () => {
    await start();
    const run = await client.start(approval, {});
    expect(await run.update("raise", 4)).toBe(5);
    expect(await run.query("limit")).toBe(5);
    await expect(run.update("raise", -1)).rejects.toThrow(UpdateRefusedError);
    await expect(run.update("raise", -1)).rejects.toMatchObject({ cause: { message: "only upwards" } });
    await run.signal("approve", { by: "eva" });
    expect(await run.result()).toEqual({ by: "eva", limit: 5 });
    await expect(run.update("raise", 1)).rejects.toThrow(RunClosedError);
  });
});

describe("a child", () => {
  it("gives its result to its parent, also when the coordinator changes in between", async () => {
    await start();
    const run = await client.start(tree, { how: "fine", id: "kid" });
    expect(await run.result()).toBe(42);
    expect(await client.get("kid").status()).toMatchObject({ status: "completed", parent: { run: run.id, slot: 1 } });
  });

  it("gives its failure to its parent", async () => {
    await start();
    const run = await client.start(tree, { how: "fail", id: "kid" });
    const error = await run.result().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ChildError);
    expect(error).toMatchObject({ child: "kid", workflow: "leaf" });
    expect(error.message).toContain("the leaf fell");
  });

  it("whose id belongs to somebody else's run is an error, not a hang", async () => {
    await start();
    await (await client.start(leaf, { how: "fine" }, { id: "taken" })).result();
    const run = await client.start(tree, { how: "fine", id: "taken" });
    await expect(run.result()).rejects.toMatchObject({ code: "CHILD_FAILED", cause: { code: "RUN_ALREADY_EXISTS" } });
  });

  it("is cancelled with its parent, which waits for its compensations", async () => {
    await start();
    const run = await client.start(tree, { how: "compensate", id: "kid" });
    await decided("kid", "StepScheduled");
    await run.cancel({ reason: "enough" });
    await expect(run.result()).rejects.toThrow(WorkflowCancelledError);
    expect(undone).toEqual(["kid"]);
    expect((await client.get("kid").status()).status).toBe("cancelled");
  });

  it.each([
    ["cancel", "cancelled"],
    ["terminate", "terminated"],
  ] as const)("of a terminated parent is stopped by its policy: %s", async (onParentClose, status) => {
    await start();
    const run = await client.start(tree, { how: "wait", id: "kid", onParentClose });
    await decided("kid", "StepScheduled");
    await run.terminate();
    await expect(run.result()).rejects.toThrow(WorkflowTerminatedError);
    await client
      .get("kid")
      .result()
      .catch(() => {});
    expect((await client.get("kid").status()).status).toBe(status);
  });

  it("of a cancelled parent goes on if it is abandoned", async () => {
    await start();
    const run = await client.start(tree, { how: "wait", id: "kid", onParentClose: "abandon" });
    await decided("kid", "StepScheduled");
    await run.cancel();
    await expect(run.result()).rejects.toThrow(WorkflowCancelledError);
    expect((await client.get("kid").status()).status).toBe("running");
  });
});

describe("cancellation", () => {
  it("reaches the attempt, lets clean-up go on, and compensates", async () => {
    await start();
    const run = await client.start(stubborn, { deaf: false });
    await decided(run.id, "StepScheduled");
    await run.cancel({ reason: "enough" });
    await expect(run.result()).rejects.toThrow(/enough/);
    expect(stopped).toBe(1);
    expect(undone).toEqual(["cleaned up", "compensated"]);
  });

  it("fences a handler that ignores it: its late result changes nothing and is recorded", async () => {
    await start({ settings: { graceMs: 300 } });
    const run = await client.start(stubborn, { deaf: true });
    await decided(run.id, "StepScheduled");
    await run.cancel();
    await expect(run.result()).rejects.toThrow(WorkflowCancelledError);
    const journal = await log.list("EVENTS", log.subjects.journal(run.id));
    release();
    const late = async () =>
      (await run.history()).some(
        (x) => x.kind === "inbox" && x.late && x.message.type === "StepCompleted" && x.message.slot === 1,
      );
    await expect.poll(late).toBe(true);
    expect(await log.list("EVENTS", log.subjects.journal(run.id))).toEqual(journal);
  });

  it("ends by its deadline, whatever the clean-up does", async () => {
    await start();
    const run = await client.start(
      workflow("never", nothing, async () => {}),
      0,
      { id: "unknown-here" },
    );
    const slow = await client.start(stubborn, { deaf: true });
    await decided(slow.id, "StepScheduled");
    await slow.cancel({ reason: "enough", cleanupDeadline: "400ms" });
    await expect(slow.result()).rejects.toThrow(/its clean-up took longer than 400 ms/);
    expect(undone).toEqual([]);
    // Parked, since nobody knows its workflow; it can be ended all the same.
    await run.terminate({ reason: "nobody knows it" });
    expect((await run.status()).status).toBe("terminated");
  });

  it("of a branch: race losers and scopes that time out", async () => {
    await start();
    const run = await client.start(scopes, 0);
    expect(await run.result()).toEqual([2, expect.stringContaining("The scope had not ended after 200 ms")]);
    expect(stopped).toBe(2);
  });
});

describe("terminate", () => {
  it("ends a run at once, removes its commands, and ignores what still works", async () => {
    await start();
    const run = await client.start(stubborn, { deaf: true });
    await decided(run.id, "StepScheduled");
    await run.terminate({ reason: "enough" });
    await expect(run.result()).rejects.toThrow(/was terminated: enough/);
    expect(undone).toEqual([]);
    await expect.poll(async () => (await log.list("COMMANDS", log.subjects.all.commandsOfRun(run.id))).size).toBe(0);
    await expect(run.terminate()).rejects.toThrow(RunClosedError);
  });
});

describe("a run that goes on as new", () => {
  it("keeps its id, is rebuilt from its latest life, and ends once", async () => {
    const events: CoordinatorEvent[] = [];
    const first = await start();
    const run = await client.start(relay, 1);
    // It waits at 5, in its fifth life.
    await expect.poll(() => run.query("length")).toBe(2);
    await decided(run.id, "RunContinued");
    await first.stop();
    await start({ onEvent: (event) => events.push(event) });
    await run.signal("go");
    await run.signal("go");
    expect(await run.result()).toBe(12);
    const journal = (await run.history()).flatMap((x) => (x.kind === "journal" ? x.message.events : []));
    expect(journal.filter((event) => event.type === "RunContinued")).toHaveLength(11);
    const rebuilt = events.flatMap((event) => (event.type === "rebuilt" ? [event.messages] : []));
    for (const messages of rebuilt) expect(messages).toBeLessThan(6);
  });
});

describe("a start", () => {
  it("can be delayed, and limited in time", async () => {
    await start();
    const at = Date.now();
    const delayed = await client.start(leaf, { how: "fine" }, { delay: "1s" });
    const limited = await client.start(leaf, { how: "wait" }, { timeout: "500ms" });
    await expect(limited.result()).rejects.toThrow(TimeoutError);
    expect(stopped).toBe(1);
    expect(await delayed.result()).toBe(42);
    expect(Date.now() - at).toBeGreaterThanOrEqual(1_000);
  });
});

describe("a sleep of a year", () => {
  it("is stored, outlives its coordinator, is not early, and can be cancelled", async () => {
    const first = await start();
    const run = await client.start(dreamer, 0);
    const timers = () => log.list("TIMERS", log.subjects.all.timersOfRun(run.id));
    await expect.poll(async () => (await timers()).size).toBe(1);
    await first.stop();
    await start();
    expect((await run.status()).status).toBe("running");
    await run.cancel();
    await expect(run.result()).rejects.toThrow(WorkflowCancelledError);
    await expect.poll(async () => (await timers()).size).toBe(0);
  });
});

describe("coordinators that run different workflows", () => {
  it("share a namespace: each run gets to one that knows its workflow", async () => {
    const handedOn: string[] = [];
    const onEvent = (event: CoordinatorEvent) => {
      if (event.type === "handedOn") handedOn.push(event.run);
    };
    await start({ workflows: [leaf, tree], onEvent });
    const second = await start({ workflows: [approval, relay], onEvent });
    const trees = await Promise.all(
      Array.from({ length: 10 }, (_, i) => client.start(tree, { how: "fine" }, { id: `tree-${i}` })),
    );
    const approvals = await Promise.all(
      Array.from({ length: 10 }, (_, i) => client.start(approval, {}, { id: `approval-${i}` })),
    );
    for (const run of approvals) {
      expect(await run.query("limit")).toBe(1);
      await run.update("raise", 1);
      await run.signal("approve", { by: "eva" });
    }
    expect(await Promise.all(trees.map((run) => run.result()))).toEqual(trees.map(() => 42));
    expect(await Promise.all(approvals.map((run) => run.result()))).toEqual(
      approvals.map(() => ({ by: "eva", limit: 2 })),
    );
    expect(handedOn.length).toBeGreaterThan(0);

    // Gone: the runs wait, parked, and go on when somebody comes who knows them.
    await second.stop();
    const waiting = await client.start(approval, {}, { id: "waits" });
    await expect.poll(async () => (await waiting.status()).status).toBe("parked");
    await start({ workflows: [approval] });
    await waiting.signal("approve", { by: "eva" });
    expect((await waiting.result()).by).toBe("eva");
  });
});
