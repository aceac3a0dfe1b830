import { type RecordedRun, type Walked, walkRun } from "@stepstream/coordinator";
import { step, workflow } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createTestEnvironment } from "../index.ts";

const one = step("one", { input: z.number(), output: z.number() });
const kinds: Record<string, () => unknown> = {
  while: () => {
    for (;;);
  },
  await: async () => {
    for (;;) await null;
  },
  regex: () => /^(a+)+$/.test(`${"a".repeat(50)}b`),
};
const loops = workflow("loops", { input: z.string(), output: z.unknown() }, async (kind, w) => {
  await w.run(one, 1);
  return kinds[kind]!();
});
const PLACE =
  /is stalled: its workflow code blocked the event loop for [\d.]+ s and was stopped at \S+loops\.test\.ts:\d+:\d+/;

describe("a workflow that never gives the event loop back", () => {
  it.each(Object.keys(kinds))("ends the test with an error that has its place: %s", async (kind) => {
    const env = await createTestEnvironment({ workflows: [loops] });
    env.fake(one).returns(1);
    const run = await env.start(loops, kind, { id: kind });
    await expect(run.result()).rejects.toThrow(PLACE);
    await expect(env.idle()).rejects.toThrow(PLACE);
    await env.close();
  });

  it.each(Object.keys(kinds))("is a fault of a replay, with its place: %s", async (kind) => {
    const started = { v: 1, type: "RunStarted", id: "m1", workflow: "loops", version: 1, input: kind } as const;
    const done = { v: 1, type: "StepCompleted", slot: 1, step: "one", attempt: 1, output: 1 } as const;
    const recorded: RecordedRun = {
      run: kind,
      inbox: [
        { seq: 1, at: 1_000, message: started },
        { seq: 3, at: 2_000, message: done },
      ],
      decisions: [],
    };
    const walked: Walked[] = [];
    for await (const message of walkRun(loops, recorded)) walked.push(message);
    expect(walked).toHaveLength(2);
    expect(walked[1]!.fault?.message).toMatch(PLACE);
    expect(walked[1]!.faultPositions).toMatchObject([{ file: import.meta.filename, line: expect.any(Number) }]);
  });
});
