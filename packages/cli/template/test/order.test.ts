import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createTestEnvironment } from "@stepstream/testing";
import { handlers } from "../src/handlers.ts";
import { charge, order, refund, ship } from "../src/workflows.ts";

/** The real coordinator, worker and client in this process, in virtual time. */
async function environment(t: TestContext) {
  const env = await createTestEnvironment({ workflows: [order], steps: handlers });
  t.after(() => env.close());
  return env;
}

test("an order is charged and shipped", async (t) => {
  const env = await environment(t);
  const run = await env.start(order, { orderId: "1", cents: 995 }, { id: "order-1" });
  assert.deepEqual(await run.result(), { receipt: "receipt-order-1/1", parcel: "parcel-1" });
});

test("a bank that is down is asked again, with the same key", async (t) => {
  const env = await environment(t);
  env.fake(charge).fails("the bank is down", { times: 2 });
  const run = await env.start(order, { orderId: "1", cents: 995 });
  await run.result();
  const calls = env.calls(charge);
  assert.equal(calls.length, 3);
  assert.equal(new Set(calls.map((call) => call.idempotencyKey)).size, 1);
});

test("what cannot be shipped is refunded", async (t) => {
  const env = await environment(t);
  env.fake(ship).fails("no parcels today");
  const run = await env.start(order, { orderId: "1", cents: 995 });
  await assert.rejects(run.result(), /no parcels today/);
  assert.equal(env.calls(refund).length, 1);
});

test("a card over its limit is declined at once", async (t) => {
  const env = await environment(t);
  const run = await env.start(order, { orderId: "1", cents: 100_001 });
  await assert.rejects(run.result());
  assert.equal(env.calls(charge).length, 1);
});
