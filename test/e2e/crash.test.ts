/**
 * Attempts that end their process: SIGKILL, process.exit(), out of memory. Two real worker processes, which are started
 * again each time; the test plays the coordinator.
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { fatal } from "./programs/steps.ts";
import { type Program, WorkerScene } from "./worker-scene.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

let scene: WorkerScene;
let lives: Life[] = [];
let over: AbortController;
let tests = 0;
beforeEach(async () => {
  scene = new WorkerScene(server.url, `crash-${process.pid}-${++tests}`);
  scene.stderr = "ignore";
  await scene.open();
  lives = [];
  over = new AbortController();
});
afterEach(async () => {
  over.abort();
  await scene.close();
});

interface Life {
  program: Program;
  /** undefined while it lives. */
  ended?: number | string | null;
}

/** Keeps a worker process up, as a supervisor does, until the test is over. */
async function keepUp(): Promise<void> {
  const { signal } = over;
  while (!signal.aborted) {
    const program = await scene.program("fatal-handlers.ts", [], ["--max-old-space-size=80"]);
    const life: Life = { program };
    lives.push(life);
    const code = await program.exit();
    life.ended = code ?? program.child.signalCode;
  }
}

const said = (text: string) => lives.flatMap(({ program }) => program.lines.filter((line) => line.includes(text)));

describe("one attempt that ends its process, beside innocent ones", { timeout: 90_000 }, () => {
  it.each<["SIGKILL" | "exit" | "memory", string | number]>([
    ["SIGKILL", "SIGKILL"],
    ["exit", 3],
    ["memory", "SIGABRT"],
  ])("by %s: is found, and the innocent ones succeed", async (end, ended) => {
    await scene.command(fatal, "innocent-1", { ms: 1_500, end: "none" });
    await scene.command(fatal, "guilty", { ms: 400, end });
    await scene.command(fatal, "innocent-2", { ms: 1_500, end: "none" });
    for (let i = 0; i < 2; i++) keepUp().catch(() => {});
    const outcomeOf = async (run: string) =>
      (await scene.inbox(run)).find(({ type }) => type.startsWith("Step")) as { error?: object } | undefined;
    await expect.poll(() => outcomeOf("guilty"), { timeout: 60_000 }).toBeDefined();
    expect(await outcomeOf("guilty")).toMatchObject({
      type: "StepFailed",
      error: { code: "WORKER_LOST", message: expect.stringContaining("3 times, each time as the only attempt in it") },
    });
    for (const run of ["innocent-1", "innocent-2"])
      expect(await scene.outcome(run)).toMatchObject({ type: "StepCompleted", output: 1_500 });
    expect(await scene.dead("fatal", "guilty")).toMatchObject({ code: "WORKER_LOST" });
    for (const run of ["innocent-1", "innocent-2"]) expect(await scene.dead("fatal", run)).toBeUndefined();

    // No life ended but those that the guilty one ended. (One that runs out of memory stands still for a while before, and
    // its command is delivered again.)
    const ends = lives.flatMap((life) => life.ended ?? []);
    expect(new Set(ends)).toEqual(new Set([ended]));
    if (end === "memory") expect(ends.length).toBeLessThanOrEqual(6);
    else expect(ends).toHaveLength(6);
    const alone = said("runs alone in this process").map((line) => JSON.parse(line));
    expect(alone.filter(({ run }) => run === "guilty")).toHaveLength(3);
    // Those that could say so at their end did.
    const inHand = said("the process exits with code 3 while worker ").map((line) => JSON.parse(line));
    expect(inHand).toHaveLength(end === "exit" ? 6 : 0);
    for (const { attempts } of inHand)
      expect(attempts).toContainEqual({ run: "guilty", step: "fatal", slot: 1, attempt: 1 });
    await expect.poll(() => scene.left()).toBe(0);
  });
});

it("a worker that is told to stop, and killed before it has, makes no suspect of what it had in hand", {
  timeout: 60_000,
}, async () => {
  await scene.command(fatal, "long", { ms: 3_000, end: "none" });
  const stopping = async () => (await scene.records("long")).filter((record) => "stopping" in record).length;
  for (let deploys = 1; deploys <= 5; deploys++) {
    const program = await scene.program("fatal-handlers.ts");
    lives.push({ program });
    await program.says("handling long");
    program.child.kill("SIGTERM");
    await expect.poll(stopping, { timeout: 5_000 }).toBe(deploys);
    await program.end("SIGKILL");
  }
  lives.push({ program: await scene.program("fatal-handlers.ts") });
  expect(await scene.outcome("long")).toMatchObject({ type: "StepCompleted", attempt: 1, output: 3_000 });
  expect(said("runs alone")).toEqual([]);
});
