import { describe, expect, it } from "vitest";
import { z } from "zod";
import { pipeline } from "./pipeline.ts";
import { type AnyStep, step } from "./step.ts";
import type { AnyWorkflow, WorkflowContext } from "./workflow.ts";

const Num = z.object({ n: z.number() });
const split = step("split", { input: Num, output: z.array(z.number()) });
const double = step("double", { input: z.number(), output: z.number() });
const sum = step("sum", { input: z.array(z.number()), output: Num });
const max = step("max", { input: z.array(z.number()), output: z.number() });

/** Does at once, in this process, what a run does over a bus: enough to follow the interpretation. */
function play(flow: AnyWorkflow, input: unknown) {
  const calls: string[] = [];
  const progress: string[] = [];
  const handlers: Record<string, (input: any) => unknown> = {
    split: ({ n }) => Array.from({ length: n }, (_, i) => i + 1),
    double: (n) => {
      if (n === 13) throw new Error("13 is not lucky");
      return 2 * n;
    },
    sum: (all: number[]) => ({ n: all.reduce((a, b) => a + b, 0) }),
    max: (all: number[]) => Math.max(...all),
    gate: (gate) => ({ gate: gate.gate, level: gate.level, durationMs: 0, stdout: "", stderr: "" }),
  };
  const w = {
    run: async (s: AnyStep, given: unknown) => {
      calls.push(`${s.name}(${JSON.stringify(s.name === "gate" ? (given as { gate: string }).gate : given)})`);
      return structuredClone(handlers[s.name]!(given));
    },
    all: async (group: Record<string, Promise<unknown>>) =>
      Object.fromEntries(await Promise.all(Object.entries(group).map(async ([k, v]) => [k, await v]))),
    allSettled: async (group: Record<string, Promise<unknown>>) => {
      const settled = await Promise.allSettled(Object.values(group));
      return Object.fromEntries(Object.keys(group).map((key, i) => [key, settled[i]]));
    },
    map: (items: unknown[], fn: (item: unknown, i: number) => unknown) => Promise.all(items.map(fn)),
    progress: ({ step, total, name }: { step: number; total: number; name: string }) =>
      progress.push(`${name} ${step}/${total}`),
  } as unknown as WorkflowContext;
  return { calls, progress, result: flow.run(input, w) };
}

describe("a pipeline", () => {
  const flow = pipeline("flow", { input: Num, output: Num })
    .step("split", split)
    .map("doubled", double, (s) => s.split, { concurrency: 2 })
    .parallel({ sum: [sum, (s) => s.doubled], max: [max, (s) => s.doubled] })
    .step("end", sum, (s) => [s.sum.n, s.max, s.input.n])
    .build();

  it("runs its nodes in order and hands each what it asks for (P1)", async () => {
    const { calls, result } = play(flow, { n: 3 });
    expect(await result).toEqual({ n: 12 + 6 + 3 });
    expect(calls).toEqual([
      'split({"n":3})',
      "double(1)",
      "double(2)",
      "double(3)",
      "sum([2,4,6])",
      "max([2,4,6])",
      "sum([12,6,3])",
    ]);
  });

  it("knows its graph before it runs", () => {
    expect(flow.graph).toEqual([
      { name: "split", kind: "step", steps: ["split"] },
      { name: "doubled", kind: "map", steps: ["double"] },
      { name: "sum+max", kind: "parallel", steps: ["sum", "max"] },
      { name: "end", kind: "step", steps: ["sum"] },
    ]);
  });

  it("says how far it is: at each node, and in a map of many at each tenth", async () => {
    const few = play(flow, { n: 3 });
    await few.result;
    expect(few.progress).toEqual(["split 0/4", "doubled 1/4", "sum+max 2/4", "end 3/4", "end 4/4"]);
    const many = play(flow, { n: 40 });
    await many.result.catch(() => undefined);
    expect(many.progress.slice(2, 5)).toEqual(["doubled 1.1/4", "doubled 1.2/4", "doubled 1.3/4"]);
  });

  it("fails with what a step failed with", async () => {
    await expect(play(flow, { n: 13 }).result).rejects.toThrow("13 is not lucky");
  });

  it("hands every outcome on where a parallel node says allSettled", async () => {
    const lenient = pipeline("lenient", { input: Num, output: z.array(z.string()) })
      .parallel({ fine: [double, (s) => s.input.n], bad: [double, () => 13] }, { mode: "allSettled" })
      .step("show", step("max", { input: z.array(z.number()), output: z.any() }), (s) => [
        s.fine.status === "fulfilled" ? s.fine.value : 0,
        s.bad.status === "rejected" ? s.bad.reason.message.length : 0,
      ])
      .build();
    expect(await play(lenient, { n: 50 }).result).toBe(100);
  });

  it("lets nobody change what others see (P3)", async () => {
    const rude = pipeline("rude", { input: Num, output: Num })
      .step("split", split)
      .step("sum", sum, (s) => {
        (s.split as number[]).push(1);
        return s.split;
      })
      .build();
    await expect(play(rude, { n: 2 }).result).rejects.toThrow("object is not extensible");
  });

  it("sorts gates that follow each other by level, skips manual ones, and lets values pass them by (P4)", async () => {
    const gated = pipeline("gated", { input: Num, output: Num })
      .gate("unit", { level: 3, command: "x" })
      .gate("sign-off", { level: 2, manual: true })
      .gate("types", { level: 1, command: "x" })
      .step("split", split)
      .gate("late", { level: 0, command: "x" })
      .step("sum", sum)
      .build();
    const { calls, progress, result } = play(gated, { n: 2 });
    expect(await result).toEqual({ n: 3 });
    expect(calls).toEqual(['gate("types")', 'gate("unit")', 'split({"n":2})', 'gate("late")', "sum([1,2])"]);
    expect(progress.map((p) => p.split(" ")[0])).toEqual(["types", "sign-off", "unit", "split", "late", "sum", "sum"]);
  });

  it("names the node whose map function threw (P5)", async () => {
    const bad = pipeline("bad", { input: Num, output: Num })
      .step("split", split)
      .step("sum", sum, (s) => [s.split[7]!.toFixed().length])
      .build();
    const failure = await play(bad, { n: 1 }).result.catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining('node "sum" of pipeline "bad" threw: Cannot') });
    expect(failure).toMatchObject({ cause: expect.any(TypeError) });
  });

  it("refuses a name twice, and having no nodes", () => {
    const start = pipeline("p", { input: Num, output: Num }).step("a", split);
    const name: string = "a";
    expect(() => start.step(name as "b", sum)).toThrow(/"a" already/);
    expect(() => start.parallel({ [name]: [sum, () => []] })).toThrow(RangeError);
    expect(() => start.step("input" as string as "b", sum)).toThrow(RangeError);
    expect(() => pipeline("p", { input: Num, output: Num }).build()).toThrow(/no nodes/);
  });
});
