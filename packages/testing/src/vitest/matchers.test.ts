import { exponential, step, workflow } from "@stepstream/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import "./index.ts";
import { createTestEnvironment, type TestEnvironment } from "../environment/environment.ts";

const charge = step("charge", {
  input: z.object({ cents: z.int() }),
  output: z.string(),
  errors: { CardDeclined: z.object({ code: z.string() }) },
  retry: { maxAttempts: 2, backoff: exponential({ initial: "1s", jitter: "none" }) },
});
const refund = step("refund", { input: z.object({ receipt: z.string() }), output: z.void() });
const buy = workflow("buy", { input: z.object({ cents: z.int() }), output: z.string() }, async (input, w) => {
  const receipt = await w.run(charge, input);
  w.compensate(refund, { receipt });
  await w.sleep("90m");
  await w.run(charge, { cents: 1 });
  return receipt;
});

let env: TestEnvironment;
beforeEach(async () => {
  env = await createTestEnvironment({ workflows: [buy], patienceMs: 20 });
  env.fake(refund).returns(undefined);
});
afterEach(() => env.close());

const buyFor = (cents: number) => env.start(buy, { cents }, { id: "r1" });
const told = async (assertion: Promise<void>) =>
  (
    await assertion.then(
      () => undefined,
      (error) => error,
    )
  )?.message;

describe("matchers on a run", () => {
  it("know one that completed, and say how another one ended", async () => {
    env.fake(charge).fails("down", { times: 1 }).returns("r-1");
    const run = await buyFor(5);
    await expect(run).toHaveCompleted();
    await expect(run).toHaveCompleted("r-1");
    await expect(run).toHaveCompleted(expect.stringMatching(/^r-/));
    await expect(run).not.toHaveFailed();
    await expect(run).not.toHaveBeenCancelled();
    expect(
      await told(expect(run).toHaveCompleted("r-2")),
    ).toBe(`expected run r1 to have completed with "r-2", but it completed with "r-1".

The history of run r1:
  +0 ms      started buy {"cents":5}
  +0 ms      asks for charge (slot 1) {"cents":5}
  +0 ms      charge (slot 1) attempt 1 failed: down; again in 1s
  +1s        charge (slot 1) completed "r-1"
  +1s        sleeps for 1h 30m (slot 2)
  +1h 30m    timer (slot 2) fired
  +1h 30m    asks for charge (slot 3) {"cents":1}
  +1h 30m    charge (slot 3) completed "r-1"
  +1h 30m    completed "r-1"`);
    expect(await told(expect(run).not.toHaveCompleted())).toContain("expected run r1 not to have completed");
    expect(await told(expect(run).toHaveFailed({ step: charge, code: "X" }))).toContain(
      'to have failed at step charge with X, but it completed with "r-1".',
    );
  });

  it("know one that failed: at which step, with which of the codes that led to it", async () => {
    env.fake(charge).returns("r-1", { times: 1 }).failsWith("CardDeclined", { code: "limit" });
    const run = await buyFor(5);
    await expect(run).toHaveFailed();
    await expect(run).toHaveFailed({ step: charge, code: "CardDeclined" });
    await expect(run).toHaveFailed({ step: "charge", code: "STEP_FAILED" });
    await expect(run).not.toHaveFailed({ step: refund });
    await expect(run).not.toHaveFailed({ code: "TIMEOUT" });
    await expect(run).toHaveCompensated(refund, { with: { receipt: "r-1" }, times: 1 });
    await expect(run).not.toHaveCompensated(refund, { with: { receipt: "r-2" } });
    await expect(run).not.toHaveCompensated(charge);
    const message = await told(expect(run).toHaveCompleted());
    expect(message).toContain("[STEP_FAILED < CardDeclined]");
    expect(message).toContain('compensates with refund (slot 4) {"receipt":"r-1"}');
  });

  it("know one that was cancelled, and why", async () => {
    env.fake(charge).returns("r-1");
    const run = await buyFor(5);
    await env.advance("1m");
    await run.cancel({ reason: "enough" });
    await expect(run).toHaveBeenCancelled();
    await expect(run).toHaveBeenCancelled("enough");
    await expect(run).not.toHaveWaited("90m");
    expect(await told(expect(run).toHaveWaited("90m"))).toContain("but it waited for 1h 30m (not to the end).");
    expect(await told(expect(run).toHaveBeenCancelled("other"))).toContain('because of "other", but it ended with');
  });

  it("know what it has run so far, how often and with what, and how long it waited", async () => {
    env.fake(charge).returns("r-1");
    const run = await buyFor(5);
    await expect(run).not.toHaveRun(charge, { times: 2 });
    await env.idle();
    await expect(run).toHaveRun(charge);
    await expect(run).toHaveRun(charge, { times: 2 });
    await expect(run).toHaveRun(charge, { with: { cents: 1 }, times: 1 });
    await expect(run).toHaveRun(charge, { with: { cents: expect.any(Number) }, times: 2 });
    await expect(run).not.toHaveRun(refund);
    await expect(run).toHaveWaited("1.5h");
    expect(await told(expect(run).toHaveRun(charge, { with: { cents: 7 } }))).toContain(
      'to have run step charge with {"cents":7}, but it asked for charge in slot 1 {"cents":5}, slot 3 {"cents":1}.',
    );
    expect(await told(expect(run).toHaveRun(refund))).toContain("but it never asked for refund.");
  });

  it("tell what keeps a run from ending, and what is no run", async () => {
    const run = await buyFor(5);
    await expect(told(expect(run).toHaveFailed())).resolves.toContain("neither a handler nor a fake");
    expect(await told(expect("r1").toHaveCompleted())).toBe(
      "expect(…) takes a run here, as env.start(…) returns it, not string.",
    );
  });
});
