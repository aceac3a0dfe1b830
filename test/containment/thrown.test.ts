/** What a workflow or a handler throws, in the test kit and in a real worker: each fails what it is about, and nothing else. */

import { createCoordinator } from "@stepstream/coordinator";
import { connect, step, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { createTestEnvironment } from "@stepstream/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { hostile } from "./hostile.ts";

const any = { input: z.any(), output: z.any() };
const thrower = step("thrower", { ...any, retry: { maxAttempts: 1 } });
const thrown = (what: string) => hostile.find(([name]) => name === what)![1]();

/** Throws by itself, or has its step throw. */
const throws = workflow("throws", any, async ({ what, where }, w) => {
  if (where === "workflow") throw thrown(what);
  return w.run(thrower, what);
});
/** Reads all of what it caught, and goes on. */
const catches = workflow("catches", any, async (what, w) => {
  try {
    return await w.run(thrower, what);
  } catch (error: any) {
    return [error.code, typeof error.message, String(error.cause?.name)];
  }
});
const fine = workflow("fine", any, async (_input, w) => w.run(thrower, "nothing bad"));
const handler = async (what: string) => {
  if (what === "nothing bad") return "fine";
  throw thrown(what);
};
const kinds = hostile.map(([what]) => what);
const codeOf = (result: Promise<unknown>) => result.then(String, (error) => error.code);

describe("in the test kit", () => {
  it.each(kinds)("fails the run, the step, and nothing else: %s", async (what) => {
    await using env = await createTestEnvironment({ workflows: [throws, catches, fine] });
    env.fake(thrower, handler);
    const other = await env.start(fine, 1);
    expect(await codeOf((await env.start(throws, { what, where: "workflow" })).result())).toBe("WORKFLOW_FAILED");
    expect(await codeOf((await env.start(throws, { what, where: "step" })).result())).toBe("STEP_FAILED");
    expect(await (await env.start(catches, what)).result()).toEqual(["STEP_FAILED", "string", expect.any(String)]);
    expect(await other.result()).toBe("fine");
    await env.idle();
    expect(env.warnings).toEqual([]);
  });

  it.each(kinds)("may be what a fake fails with: %s", async (what) => {
    await using env = await createTestEnvironment({ workflows: [throws] });
    env.fake(thrower).fails(thrown(what) as Error);
    expect(await codeOf((await env.start(throws, { what, where: "step" })).result())).toBe("STEP_FAILED");
  });
});

describe("in a worker, on a real server", { timeout: 60_000 }, () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server?.stop());

  it("each fails its attempt, and the worker goes on", async () => {
    const bus = { nats: server.url, namespace: `thrown-${process.pid}`, partitions: 1 };
    const coordinator = await createCoordinator({ ...bus, workflows: [throws, catches, fine] }).start();
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const worker = await createWorker({ ...bus, logger })
      .handle(thrower, handler)
      .start();
    const client = await connect(bus);
    try {
      for (const what of kinds) {
        const [failed, caught] = await Promise.all([
          client.start(throws, { what, where: "step" }),
          client.start(catches, what),
        ]);
        expect(await codeOf(failed.result({ timeout: "20s" })), what).toBe("STEP_FAILED");
        expect(await caught.result({ timeout: "20s" }), what).toEqual(["STEP_FAILED", "string", expect.any(String)]);
        expect(
          (await failed.history()).filter(({ kind }) => kind === "malformed"),
          what,
        ).toEqual([]);
      }
      expect(await (await client.start(fine, 1)).result({ timeout: "20s" })).toBe("fine");
    } finally {
      await client.close();
      await worker.stop({ drainMs: 0 });
      await coordinator.stop();
    }
  });
});
