import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
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
  overflow: () => {
    const again = (): never => {
      try {
        return again();
      } catch {
        return again();
      }
    };
    return again();
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

/** The program ends by itself where nothing keeps it alive: a wait that is never answered looks like a success. */
describe("a plain script that uses the environment", () => {
  const script = fileURLToPath(new URL("../../test/loops.ts", import.meta.url));
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [script, ...args]);

  it.each([
    ["a signal", "uuid", "signal", "signal"],
    ["an update", "now", "update", "update"],
    ["a query", "while", "query", "query"],
  ])("is told of a loop while it waits for the answer to %s", async (_what, kind, when, how) => {
    const { stdout, stderr } = await run(kind, when, how);
    expect(stdout).toMatch(
      /its workflow code blocked the event loop for [\d.]+ s and was stopped at \S+loops\.ts:\d+:\d+/,
    );
    expect(stderr).toBe("");
  });

  it("is told of a handler that blocks the event loop, which is not stopped", { timeout: 90_000 }, async () => {
    const { stdout, stderr } = await run("while", "handler", "result");
    const handler = /The handler of step "one" \(run r1\)/.source;
    const place = /at \S+loops\.ts:\d+:\d+ \(busy\)\./.source;
    expect(stderr).toMatch(new RegExp(`^stepstream: ${handler} has blocked the event loop for [\\d.]+ s, ${place}`));
    expect(stdout).toMatch(new RegExp(`^no error\n${handler} blocked the event loop for [\\d.]+ s, ${place}\n$`));
  });
});
