import { createTestEnvironment, handle } from "@stepstream/testing";
import { describe, expect, it } from "vitest";
import "@stepstream/testing/vitest";
import { accounts, handlers, payments } from "./handlers.ts";
import { charge, close, mail, open, subscription } from "./subscription.ts";

const eva = { customer: "eva", cents: 995 };

describe("a subscription", () => {
  it("charges after thirty days", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription] });
    env.fake(open).returns({ account: "a-1" });
    env.fake(mail).returns(undefined);
    env.fake(charge).returns({ receipt: "r-1" });

    const run = await env.start(subscription, eva, { id: "eva-1" });

    expect(await run.result()).toEqual({ receipt: "r-1" });
    await expect(run).toHaveWaited("27d");
    await expect(run).toHaveRun(mail, { times: 1, with: { to: "eva", about: "three days left" } });
  });

  it("can be looked at half-way", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
    const run = await env.start(subscription, eva);

    await env.advance("26d");
    await expect(run).not.toHaveRun(mail);
    await env.runUntil(() => env.calls(mail).length === 1);
    expect(await run.status()).toMatchObject({ status: "running" });

    await run.cancel({ reason: "not for me" });
    await expect(run).toHaveBeenCancelled("not for me");
    await expect(run).toHaveCompensated(close);
    await expect(run).not.toHaveRun(charge);
  });

  it("closes the account when the card is declined, and does not ask the bank twice", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
    env.fake(charge).failsWith("CardDeclined", { reason: "limit" });

    const run = await env.start(subscription, eva);

    await expect(run).toHaveFailed({ step: charge, code: "CardDeclined" });
    await expect(run).toHaveCompensated(close, { times: 1 });
    expect(env.calls(charge)).toHaveLength(1);
  });

  it("asks a bank again that is down or slow, always with the same key", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
    env.fake(charge).fails("the bank is down", { times: 2 }).hangs({ times: 1 });

    const run = await env.start(subscription, eva, { id: "eva-1" });

    await expect(run).toHaveCompleted({ receipt: "r-eva-1/5" });
    expect(env.calls(charge).map((call) => call.attempt)).toEqual([1, 2, 3, 4]);
    expect(new Set(env.calls(charge).map((call) => call.idempotencyKey))).toEqual(new Set(["eva-1/5"]));
  });

  it("survives a crash after the payment and before its result is stored", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
    payments.clear();
    const crash = env.crashBefore({ event: "StepCompleted", nth: 3 });

    const run = await env.start(subscription, eva);

    await expect(run).toHaveCompleted();
    expect(crash.at).toBeDefined();
    expect(env.calls(charge)).toHaveLength(2);
    expect([...payments.values()]).toEqual([995]);
  });

  it("survives a crash anywhere: paid, or closed", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
    const { crashes } = await env.crashEverywhere(async (env) => {
      accounts.clear();
      payments.clear();
      const declined = await env.start(subscription, { customer: "max", cents: 200_000 });
      await expect(declined).toHaveFailed({ code: "CardDeclined" });
      expect([...accounts.values()]).toEqual([{ customer: "max", open: false }]);
      expect(payments.size).toBe(0);
      await env.replay(declined);
    });
    expect(crashes).toBeGreaterThan(20);
  });

  it("takes handlers that need time: virtual time", async () => {
    const slow = handle(mail, async (_input, ctx) => {
      await ctx.sleep("2h");
    });
    const others = handlers.filter(({ step }) => step !== mail);
    await using env = await createTestEnvironment({ workflows: [subscription], steps: [...others, slow] });
    const run = await env.start(subscription, eva);
    // Its attempts may take five minutes each, and say so.
    await expect(run).toHaveFailed({ step: mail, code: "TIMEOUT" });
  });

  it("still decides what it has decided for runs of last year", async () => {
    await using env = await createTestEnvironment({ workflows: [subscription] });
    await env.replay(new URL("./eva-1.history.json", import.meta.url));
  });
});
