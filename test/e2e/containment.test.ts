/** Containment: whatever the code of one run does, the other runs and both coordinators go on, and the run can be removed. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene, NORMAL_MS } from "./containment-scene.ts";
import * as faulty from "./programs/contained/faulty.ts";

let server: TestServer;
let scene: ContainmentScene;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  const handlers = (worker: any) => worker.handle(faulty.broken, async () => 1);
  const namespace = `contain-${process.pid}-${++count}`;
  scene = new ContainmentScene(server, namespace, ["programs/contained/faulty.ts"], handlers);
  await scene.open();
});
afterEach(() => scene?.close());

const soon = () => ({ signal: AbortSignal.timeout(NORMAL_MS) });

describe("a run whose code throws", { timeout: 120_000 }, () => {
  it("fails, and is there after a restart of everything", async () => {
    await scene.start(faulty.thrower, {}, "thrower");
    await scene.hasFailed("thrower", /it is broken/);
    await scene.othersAreWell();
    await scene.restart();
    await scene.othersAreWell();
    await scene.hasFailed("thrower", /it is broken/);
    await scene.canBeRemoved("thrower", /it is broken/);
    expect(await scene.cli(["show", "thrower"])).toMatchObject({ code: 3 });
  });

  it("what cannot be read, or goes in circles, has failed all the same", async () => {
    const kinds = ["cause", "two", "aggregate", "getter", "causeGetter", "proxy", "chain"];
    for (const kind of kinds) await scene.start(faulty.circular, kind, kind);
    for (const kind of kinds) await scene.hasFailed(kind, /WORKFLOW_FAILED/);
    await scene.othersAreWell();
    await scene.restart();
    for (const kind of kinds) await scene.canBeRemoved(kind, /WORKFLOW_FAILED/);
    await scene.othersAreWell();
  });

  it("outside of every promise chain has failed with the line, and the process goes on", async () => {
    const onCancel = ["listener", "asyncListener"];
    const atOnce = ["microtask", "nextTick"];
    for (const kind of [...onCancel, ...atOnce]) await scene.start(faulty.outside, kind, kind);
    for (const kind of onCancel) await scene.client.get(kind).cancel(soon());
    for (const kind of [...onCancel, ...atOnce])
      await scene.hasFailed(kind, /outside of everything.*faulty\.ts:\d+:\d+/);
    await scene.othersAreWell();
    await scene.restart();
    for (const kind of [...onCancel, ...atOnce]) await scene.canBeRemoved(kind, /outside of everything/);
  });
});

describe("a run with arguments that make no sense", { timeout: 120_000 }, () => {
  it("fails at the call, with what is allowed", async () => {
    await scene.start(faulty.late, {}, "late");
    await scene.start(faulty.untyped, "progress", "progress");
    await scene.start(faulty.untyped, "reason", "reason");
    await scene.hasFailed("late", /Invalid timeout\.total of w\.run\(\).*faulty\.ts:\d+:\d+/);
    await scene.hasFailed(
      "progress",
      /Invalid name of w\.progress\(\) undefined\. Use a string of .*faulty\.ts:\d+:\d+/,
    );
    await scene.hasFailed("reason", /Invalid reason .* 42\. Use a string of .*faulty\.ts:\d+:\d+/);
    await scene.othersAreWell();
    await scene.restart();
    for (const run of ["late", "progress", "reason"]) await scene.canBeRemoved(run, /Invalid/);
  });
});

describe("a run whose code asks without end once it is cancelled", { timeout: 180_000 }, () => {
  it("is parked with the line, and terminated without its code, before and after a restart", async () => {
    const runs = ["first", "second"];
    for (const run of runs) await scene.start(faulty.endless, {}, run);
    for (const run of runs)
      await expect(scene.client.get(run).cancel(soon())).rejects.toMatchObject({
        code: "RUN_PARKED",
        message: expect.stringMatching(/w\.sleep\(\).*is stored/s),
      });
    for (const run of runs) await scene.isParked(run, /called w\.sleep\(\).*in one turn.*faulty\.ts:\d+:\d+/);
    await scene.othersAreWell();
    await scene.canBeRemoved("first", /parked for.*faulty\.ts/s);
    await scene.restart();
    await scene.isParked("second", /called w\.sleep\(\)/);
    await scene.othersAreWell();
    await scene.canBeRemoved("second", /parked for/);
    scene.coordinatorsAreUp();
  });
});

describe("a run that cannot be handled", { timeout: 180_000 }, () => {
  it("can be terminated and deleted, whatever is stored of it", async () => {
    const { log } = scene;
    const { subjects } = log;
    await scene.start(faulty.stalled, {}, "stalled");
    await scene.isParked("stalled", /stalled/);
    // The message that started it cannot be read, but there is a journal.
    const malformed = { v: 1, type: "RunStarted", id: "x", workflow: 7, version: 1 };
    const started = await log.append(subjects.inboxFrom("client", "malformed"), JSON.stringify(malformed));
    const timer = { type: "TimerStarted", slot: 1, fireAt: 9_000_000_000_000 };
    const decided = { v: 1, type: "Decision", upTo: started.seq, by: "x", events: [timer] };
    await log.append(subjects.journal("malformed"), JSON.stringify(decided));
    // Without a journal it is no run, and the id is free.
    await log.append(subjects.inboxFrom("client", "noJson"), "{");
    // No coordinator knows its workflow.
    const unknown = { v: 1, type: "RunStarted", id: "y", workflow: "unheard-of", version: 1 };
    await log.append(subjects.inboxFrom("client", "unknown"), JSON.stringify(unknown));
    // Its journal cannot be read: an older release wrote a progress without a name.
    await scene.start(faulty.endless, {}, "journal");
    await expect
      .poll(async () => (await log.last(subjects.journal("journal")))?.seq, { timeout: 10_000 })
      .toBeDefined();
    const decision = JSON.parse((await log.last(subjects.journal("journal")))!.text);
    const events = [{ type: "ProgressReported", step: 1, total: 0, percent: 0 }];
    await log.append(subjects.journal("journal"), JSON.stringify({ ...decision, upTo: decision.upTo + 1, events }));
    const runs = ["stalled", "malformed", "unknown", "journal"];
    await scene.othersAreWell();
    await scene.restart();
    await scene.othersAreWell();
    await expect(scene.client.get("noJson").status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    for (const run of runs) {
      const iterated: unknown[] = [];
      const reading = (async () => {
        for await (const progress of scene.client.get(run).progress()) iterated.push(progress);
      })().catch((error) => error);
      await scene.canBeRemoved(run);
      await reading;
      expect(iterated).toEqual([]);
    }
    await scene.othersAreWell();
  });
});

describe("a child that its parent abandons in its last turn", { timeout: 60_000 }, () => {
  it.each(["complete", "fail"])("is started with its input when the parent is to %s", async (kind) => {
    await scene.start(faulty.parent, kind, `parent-${kind}`);
    await expect
      .poll(
        () =>
          scene.client
            .get(`parent-${kind}-child`)
            .result(soon())
            .catch((error) => error.code),
        { timeout: 20_000 },
      )
      .toBe("of its input");
  });
});
