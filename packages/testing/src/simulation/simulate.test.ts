import { exponential, step, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { handle } from "../handlers.ts";
import type { Scenario } from "./scenario.ts";
import { simulate } from "./simulate.ts";

const quick = exponential({ initial: "50ms", max: "1s" });
const reserve = step("reserve", { input: z.number(), output: z.string(), retry: { maxAttempts: 8, backoff: quick } });
const release = step("release", { input: z.string(), output: z.void(), retry: { maxAttempts: 50, backoff: quick } });
const ship = step("ship", { input: z.string(), output: z.void(), retry: { maxAttempts: 2, backoff: quick } });
const shape = { input: z.number(), output: z.void() };

const sell = workflow("sell", shape, async (n, w) => {
  const hold = await w.run(reserve, n);
  w.compensate(release, hold);
  await w.sleep("2s");
  await w.run(ship, hold);
});
const subscription = workflow("subscription", shape, async (n, w) => {
  for (let month = 0; month < 3; month++) {
    await w.run(reserve, n);
    await w.sleep("30d");
  }
});

let calls = 0;
/** What it asks for depends on how often this process has called it: on no history. */
const forgetful = workflow("forgetful", shape, async (n, w) => {
  await w.run(reserve, n);
  if (calls++ % 2 === 0) await w.run(reserve, n + 1);
  await w.sleep("5s");
});

/** A warehouse that counts what is held, and one that counts it twice where an attempt is repeated. */
function shop(idempotent: boolean): Scenario & { held: Map<string, number> } {
  const held = new Map<string, number>();
  const key = (id: string, attempt: number) => (idempotent ? id : `${id}:${attempt}`);
  return {
    held,
    workflows: [sell],
    steps: [
      handle(reserve, async (n, ctx) => {
        const hold = key(ctx.idempotencyKey, ctx.attempt);
        held.set(hold, n);
        await ctx.sleep(ctx.chance.exponential(300));
        if (ctx.chance.is(0.2)) throw new Error("no answer");
        return hold;
      }),
      handle(release, (hold) => void held.delete(hold)),
      handle(ship, (hold, ctx) => {
        if (ctx.chance.is(0.4)) throw new Error("no truck");
        held.delete(hold);
      }),
    ],
    start: (chance) => ({ workflow: sell, input: chance.int(100) }),
    check: ({ id }) =>
      [...held.keys()].filter((hold) => hold.startsWith(`${id}/`)).map((hold) => `${hold} is still held`),
  };
}

describe("a simulation of one's own workflows", () => {
  it("finds nothing wrong where nothing is, and tells the same story for the same seed", async () => {
    const once = await simulate(() => ({ ...shop(true), seeds: 8, runs: 6 }));
    expect(once.faults).toEqual([]);
    expect(once).toMatchObject({ worlds: 8, runs: 48, failed: [], history: undefined });
    expect(once.mishaps.crash).toBeGreaterThan(0);
    expect(await simulate(() => ({ ...shop(true), seeds: 8, runs: 6 }))).toEqual(once);
  });

  it("finds a handler that loses what an attempt of its own has held, by the scenario's check", async () => {
    const { faults, seed, history, failed } = await simulate(() => ({ ...shop(false), seeds: 8, runs: 6 }));
    expect(faults[0]).toMatch(/^seed \d+: run r\d+: r\d+\/1:\d+ is still held$/);
    expect(history).toContain('"type":"RunStarted"');
    const again = await simulate(() => ({ ...shop(false), seed, runs: 6 }));
    expect(again.failed[0]).toEqual(failed[0]);
  });

  it("finds a workflow that is not deterministic", async () => {
    const { faults } = await simulate({
      workflows: [forgetful],
      steps: [handle(reserve, (n) => `${n}`)],
      start: (_chance, i) => ({ workflow: forgetful, input: i }),
      seeds: 3,
    });
    expect(faults.join("\n")).toContain("The workflow code no longer fits the history of run");
  });

  it("lives through months at once", async () => {
    const { faults, virtualMs } = await simulate({
      workflows: [subscription],
      steps: [handle(reserve, (n) => `${n}`)],
      start: (_chance, i) => ({ workflow: subscription, input: i }),
      seed: 1,
      runs: 4,
      check: ({ end, history }) => {
        const asked = history.flatMap((entry) => (entry.kind === "journal" ? entry.message.events : []));
        if (end?.type !== "RunCompleted") throw new Error("it did not complete");
        return asked.filter(({ type }) => type === "StepScheduled").length === 3 ? [] : "it skipped a month";
      },
    });
    expect(faults).toEqual([]);
    expect(virtualMs).toBeGreaterThan(90 * 86_400_000);
  });

  it("lets outsiders do what they do, each with their run, and hears what goes wrong with them", async () => {
    const cancelled = new Set<string>();
    const { faults } = await simulate({
      ...shop(true),
      // A cancel may come while the warehouse reserves: then no run has the hold; this test is about the outsiders.
      check: () => [],
      seed: 4,
      runs: 5,
      async outside(run, { chance, sleep, client }) {
        await sleep(1_000 + chance.int(500));
        cancelled.add(run.id);
        await client.get(run.id).cancel({ reason: "changed my mind" });
        if (run.id === "r4") throw new Error("so much for that");
      },
    });
    expect(cancelled.size).toBe(5);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain("outside of run r4 : Error: so much for that");
  });

  it("has coordinators that know only some of the workflows, and parks what none of them knows", async () => {
    const scenario = { ...shop(true), workflows: [sell, subscription], seed: 1, runs: 1 };
    const { faults, mishaps } = await simulate({ ...scenario, hosts: () => [subscription] });
    expect(mishaps.parked).toBeGreaterThan(0);
    expect(faults).toEqual(["seed 1: run r1 never ended"]);
  });
});
