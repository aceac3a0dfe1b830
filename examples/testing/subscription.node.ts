import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestEnvironment } from "@stepstream/testing";
import { handlers } from "./handlers.ts";
import { charge, subscription } from "./subscription.ts";

test("a subscription charges after thirty days", async () => {
  await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
  const startedAt = env.now();
  const run = await env.start(subscription, { customer: "eva", cents: 995 });
  await run.result();
  assert.equal(Math.floor((env.calls(charge)[0]!.at - startedAt) / 86_400_000), 30);
});
