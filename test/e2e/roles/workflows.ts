/** Workflows that between them use all that a coordinator, a worker and a client do on the bus. */
import { fixed, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** More than travels on the bus. */
export const LARGE = "x".repeat(300_000);

export const charge = step("charge", {
  input: z.object({ text: z.string() }),
  output: z.string(),
  retry: { maxAttempts: 3, backoff: fixed("20ms") },
  heartbeat: "2s",
});
export const refund = step("refund", { input: z.object({ n: z.int() }), output: z.int() });
/** Does not return before it is aborted. */
export const hold = step("hold", { input: z.object({}), output: z.void(), retry: { maxAttempts: 1 } });
/** Fails until its circuit breaker opens. */
export const broken = step("broken", {
  input: z.object({}),
  output: z.void(),
  retry: { maxAttempts: 50, backoff: fixed("5ms") },
  breaker: { failures: 3, cooldown: "10m" },
});
/** No worker runs it. */
export const ghost = step("ghost", { input: z.object({}), output: z.void(), retry: { maxAttempts: 1 } });

/** Longer than any timer that a coordinator keeps in memory. */
const DURABLE = "700ms";

export const item = workflow("item", { input: z.int(), output: z.int() }, async (n, w) => {
  await w.sleep(DURABLE);
  return w.run(refund, { n });
});
export const order = workflow(
  "order",
  {
    input: z.object({ text: z.string() }),
    output: z.object({ bytes: z.int(), name: z.string(), by: z.string(), items: z.int() }),
    signals: { approve: z.object({ by: z.string() }) },
    queries: { name: z.string() },
    updates: { rename: { input: z.string(), output: z.string() } },
  },
  async ({ text }, w) => {
    let name = "";
    w.onQuery("name", () => name);
    w.onUpdate("rename", async (to) => {
      name = to;
      return to;
    });
    const receipt = await w.run(charge, { text });
    const { by } = await w.waitFor("approve");
    const items = await w.child(item, 3, { id: `${w.runId}-item` });
    return { bytes: receipt.length, name, by, items };
  },
);
export const counter = workflow(
  "counter",
  { input: z.int(), output: z.int(), signals: { more: z.int() } },
  async (n, w) => {
    const more = await w.waitFor("more");
    return more === 0 ? n : w.continueAsNew(n + more);
  },
);
/** Waits for a step that does not return, with a child that does not either. */
export const waiting = workflow(
  "waiting",
  { input: z.object({ child: z.boolean() }), output: z.void() },
  async ({ child }, w) => {
    const both = [
      w.run(hold, {}),
      w.sleep("1h"),
      ...(child ? [w.child(waiting, { child: false }, { id: `${w.runId}-child` })] : []),
    ];
    await w.all(both as never);
  },
);
export const haunted = workflow("haunted", { input: z.object({}), output: z.void() }, (_, w) => w.run(ghost, {}));
export const breaking = workflow("breaking", { input: z.object({}), output: z.void() }, (_, w) => w.run(broken, {}));
/** One coordinator alone knows it. */
export const special = workflow(
  "special",
  { input: z.int(), output: z.int(), signals: { go: z.int() }, queries: { n: z.int() } },
  async (n, w) => {
    w.onQuery("n", () => n);
    return n + (await w.waitFor("go"));
  },
);
