/** Who holds a command, with workers that differ, freeze, or have wrong clocks: real processes on a real nats-server. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { slow } from "./programs/leases.ts";
import { type Program, WorkerScene } from "./worker-scene.ts";

const SHIFTED = ["--import", fileURLToPath(new URL("programs/shifted.ts", import.meta.url))];

let server: TestServer;
let scene: WorkerScene;
let scenes = 0;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  scene = new WorkerScene(server.url, `leases-${Date.now().toString(36)}-${++scenes}`);
  await scene.open();
});
afterEach(() => scene.close());

const worker = (heartbeat: string, settings: Record<string, string> = {}) =>
  scene.program("leases.ts", [], settings.SHIFT_MS || settings.JUMP_MS ? SHIFTED : [], {
    HEARTBEAT: heartbeat,
    ...settings,
  });
const begun = ({ lines }: Program) => lines.filter((line) => line.startsWith("begins "));

describe("a worker at work", () => {
  it.each([
    ["shorter", "20s", "1s"],
    ["longer", "1s", "20s"],
  ])("keeps its command where another starts whose step has a %s heartbeat", async (_, old, young) => {
    const first = await worker(old);
    await scene.command(slow(old), "r", 5_000);
    await first.says("begins r");
    const second = await worker(young);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1 });
    await expect.poll(() => scene.left()).toBe(0);
    expect([begun(first), begun(second)]).toEqual([["begins r"], []]);
  });

  it("keeps its command where its machine's clock is set back two minutes", async () => {
    const first = await worker("1s", { JUMP_MS: "-120000" });
    await scene.command(slow("1s"), "r", 4_000);
    await first.says("begins r");
    const second = await worker("1s");
    first.child.kill("SIGUSR2");
    await first.says("the clock was set");
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1 });
    expect([begun(first), begun(second)]).toEqual([["begins r"], []]);
  });
});

describe("a worker that was frozen at work", () => {
  it("says that its handler was started twice, in its log and in the run's history", async () => {
    const first = await worker("2s");
    await scene.command(slow("2s"), "r", 1_000);
    await first.says("begins r");
    first.child.kill("SIGSTOP");
    const second = await worker("2s");
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted", attempt: 1 });
    first.child.kill("SIGCONT");
    await first.says("was started twice");
    await expect
      .poll(async () => (await scene.inbox("r")).map(({ type }) => type))
      .toEqual(["StepCompleted", "StepStartedTwice"]);
    expect([begun(first), begun(second)]).toEqual([["begins r"], ["begins r"]]);
  });
});

describe("a worker that was frozen twice", () => {
  it("begins nothing of what another has done meanwhile", async () => {
    const runs = Array.from({ length: 100 }, (_, i) => `r${i}`);
    const first = await worker("2s");
    // Frozen with a request for commands open, which gets them.
    for (let taken = 0; taken === 0; ) {
      first.child.kill("SIGCONT");
      await sleep(300);
      first.child.kill("SIGSTOP");
      await scene.command(slow("2s"), "probe", 1);
      taken = (await scene.log.backlog("COMMANDS")).get(scene.log.subjects.stepConsumer("slow"))?.taken ?? 0;
      if (taken === 0) await scene.log.remove(scene.log.subjects.command("slow", "probe", 1));
    }
    await Promise.all(runs.map((run) => scene.command(slow("2s"), run, 4_000)));
    const second = await worker("2s");
    await expect.poll(() => begun(second).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(100);
    first.child.kill("SIGCONT");
    await sleep(60);
    first.child.kill("SIGSTOP");
    for (const run of runs) expect(await scene.outcome(run)).toMatchObject({ type: "StepCompleted" });
    // Those that it began in the 60 ms it began while they were open.
    const before = begun(first).length;
    first.child.kill("SIGCONT");
    await expect.poll(() => scene.left(), { timeout: 20_000 }).toBe(0);
    await first.end("SIGTERM");
    expect(begun(first).length - before).toBe(0);
  });
});

describe("a worker whose clock is wrong", () => {
  it.each([
    ["ahead", "120000"],
    ["behind", "-120000"],
  ])("by two minutes, %s, keeps a step's total time-out by the server's", async (_, shift) => {
    const program = await worker("10s", { SHIFT_MS: shift });
    const timeout = { totalMs: 1_500, queueMs: 1_000 };
    await scene.command(slow("10s"), "short", 100, { timeout });
    expect(await scene.outcome("short")).toMatchObject({ type: "StepCompleted", attempt: 1 });
    const askedAt = performance.now();
    await scene.command(slow("10s"), "long", 60_000, { timeout });
    expect(await scene.outcome("long")).toMatchObject({ type: "StepFailed", error: { code: "TIMEOUT" } });
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(1_400);
    expect(performance.now() - askedAt).toBeLessThan(6_000);
    await program.says(`s ${shift === "120000" ? "ahead of" : "behind"} nats-server's`);
  });
});
