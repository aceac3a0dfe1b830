import { NonDeterminismError, step, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createTestEnvironment } from "./environment/environment.ts";
import { expectReplay, exportRun } from "./replay.ts";

const a = step("a", { input: z.number(), output: z.number() });
const b = step("b", { input: z.number(), output: z.number() });
const shape = { input: z.number(), output: z.number() };

const first = workflow("sum", shape, async (n, w) => (await w.run(a, n)) + (await w.run(b, n)));
const swapped = workflow("sum", shape, async (n, w) => (await w.run(b, n)) + (await w.run(a, n)));
const shorter = workflow("sum", shape, async (n, w) => w.run(a, n));
const lucky = workflow("lucky", shape, async (n, w) => w.run(a, n + Math.floor(Math.random() * 1_000_000)));

async function record(played: typeof first) {
  await using env = await createTestEnvironment({ workflows: [played] });
  env.fake(a).returns(1);
  env.fake(b).returns(2);
  const run = await env.start(played, 5);
  await run.result();
  await env.replay(run);
  return { history: await run.history(), exported: await exportRun(run) };
}

describe("a replay of a recorded run", () => {
  it("passes with the code that it was recorded with, also once it has been a file", async () => {
    const { history, exported } = await record(first);
    await expectReplay(first, history);
    await expectReplay(first, exported);
    await expectReplay(first, JSON.parse(JSON.stringify(history)));
  });

  it("throws both sides where the code decides something else", async () => {
    const { exported } = await record(first);
    const error = await expectReplay(swapped, exported).catch((error) => error);
    expect(error).toBeInstanceOf(NonDeterminismError);
    expect(error).toMatchObject({ recorded: { type: "StepScheduled", step: "a" }, replayed: { step: "b" } });
    await expect(expectReplay(shorter, exported)).rejects.toThrow(
      /recorded: .*"step":"b".*\n.*replayed: .*RunCompleted/,
    );
  });

  it("knows by the run's id what chance it had", async () => {
    const { history, exported } = await record(lucky);
    await expectReplay(lucky, exported);
    await expectReplay(lucky, history, { run: exported.run });
    await expect(expectReplay(lucky, history)).rejects.toBeInstanceOf(NonDeterminismError);
  });

  it("refuses what is no history of the workflow", async () => {
    const { exported } = await record(first);
    await expect(expectReplay(lucky, exported)).rejects.toThrow('history of workflow "sum", not of "lucky"');
    await expect(expectReplay(first, [])).rejects.toThrow("does not begin with its start");
  });

  it("is of a part, where the run has not ended", async () => {
    await using env = await createTestEnvironment({ workflows: [first] });
    env.fake(a).returns(1);
    env.fake(b).hangs();
    const run = await env.start(first, 5);
    await env.runUntil(() => env.calls(b).length === 1);
    await env.replay(run);
    await expect(expectReplay(swapped, await run.history())).rejects.toBeInstanceOf(NonDeterminismError);
  });
});
