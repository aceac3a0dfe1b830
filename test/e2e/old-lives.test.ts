/** What is over has no say in what comes after it: lives of a run, and runs of an id. */

import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { type Client, connect, step, type WorkflowContext, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { Play } from "../../services/coordinator/src/run/play.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";

describe("code of a life that is over", () => {
  const any = { input: z.any(), output: z.any() };
  const a = step("a", any);
  const b = step("b", any);
  const signals = { note: z.string() };
  const updates = { add: { input: z.int(), output: z.int() } };
  type W = WorkflowContext<typeof signals, Record<never, never>, typeof updates>;

  /** Two lives: the first leaves something behind that waits for a signal, the second does b. */
  const leaving = (leave: (w: W) => unknown) =>
    workflow("flow", { ...any, signals, updates }, async (n: number, w: W) => {
      if (n === 2) return w.run(b, 0);
      leave(w);
      await w.run(a, n);
      return w.continueAsNew(2);
    });

  it.each<[string, (w: W) => unknown]>([
    // Its UpdateFailed comes after RunContinued in the journal; who rebuilds the run from there does not decide it.
    ["an update's handler that waits", (w) => w.onUpdate("add", async () => (await w.waitFor("note")).length)],
    // Its rejection fails the life that has just begun.
    ["a wait that nobody awaits", (w) => void w.waitFor("note")],
    ["code that records", (w) => void w.waitFor("note").catch(() => w.sideEffect(() => 1))],
    ["code that is patched", (w) => void w.waitFor("note").catch(() => w.patched("x"))],
  ])("decides nothing in the next: %s", async (_what, leave) => {
    const play = new Play(leaving(leave));
    await play.start(1);
    await play.update("add", 1);
    await play.done(1, a);
    await play.done(2, b, "end");
    expect(play.spelled).toMatch(/ anew:2 b2 completed$/);
    expect(await play.replayed()).toBeUndefined();
    expect((await play.resumed()).run.fault).toBeUndefined();
  });
});

describe("a run whose id had another run, which was deleted", () => {
  const hold = step("hold", { input: z.string(), output: z.string() });
  const flow = workflow("flow", { input: z.string(), output: z.string() }, (what, w) => w.run(hold, what));

  let server: TestServer;
  let log: EventLog;
  let client: Client;
  let coordinator: Coordinator;
  let worker: Worker;
  let count = 0;
  /** Ends the attempt at what it is given; until then it listens to nobody. */
  let release: Map<string, () => void>;

  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server?.stop());

  beforeEach(async () => {
    const bus = { nats: server.url, namespace: `found-${process.pid}-${++count}` };
    log = await connectEventLog({ ...bus, partitions: 2 });
    client = await connect({ log });
    release = new Map();
    coordinator = await createCoordinator({ ...bus, workflows: [flow], settings: { graceMs: 100 } }).start();
    worker = await createWorker({ ...bus, logger: { info() {}, warn() {}, error() {} } })
      .handle(hold, (what) => new Promise((resolve) => release.set(what, () => resolve(what))))
      .start();
  });
  afterEach(async () => {
    for (const one of release.values()) one();
    await coordinator.stop();
    await worker.stop({ drainMs: 0 });
    await client.close();
    await log.close();
  });

  const begun = (what: string) => expect.poll(() => release.has(what)).toBe(true);
  const inbox = async () => (await log.read(log.subjects.inbox("same"))).map(({ text }) => text);

  it("can be started, though an attempt of the old one was heard of after the delete", async () => {
    const old = await client.start(flow, "old", { id: "same" });
    await begun("old");
    await old.terminate();
    await old.delete();
    release.get("old")!();
    await expect.poll(async () => (await inbox()).length).toBe(1); // it does not begin with a start: it is no run
    const started = client.start(flow, "new", { id: "same", onConflict: "terminate" }).then(() => "started");
    const patience = new Promise((resolve) => setTimeout(resolve, 5_000, "waits for an answer of a run that is none"));
    expect(await Promise.race([started, patience])).toBe("started");
  });

  it("has its steps done, though a slot of the same number was cancelled less than a minute ago", async () => {
    const old = await client.start(flow, "old", { id: "same" });
    await begun("old");
    await old.cancel();
    release.get("old")!();
    await old.result().catch(() => {});
    await old.delete();
    const run = await client.start(flow, "new", { id: "same" });
    const failure = run.result().catch((error: Error) => error.message);
    await Promise.race([begun("new"), failure.then((message) => expect(message).toBe("nothing"))]);
    release.get("new")!();
    expect(await run.result()).toBe("new");
  });

  it("does not take the late result of the old one for its own", async () => {
    const old = await client.start(flow, "old", { id: "same" });
    await begun("old");
    await old.cancel(); // given up after its grace: the handler goes on
    await old.result().catch(() => {});
    await old.delete();
    const run = await client.start(flow, "new", { id: "same" });
    release.get("old")!();
    await expect.poll(async () => (await inbox()).some((text) => text.includes('"output":"old"'))).toBe(true);
    const result = run.result();
    await Promise.race([begun("new"), result.then((output) => expect(output).toBe("new"))]);
    release.get("new")!();
    expect(await result).toBe("new");
  });
});
