import { exponential, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** A step: its name, and what goes in and out. What it does is said in handlers.ts. */
export const charge = step("charge", {
  input: z.object({ orderId: z.string(), cents: z.int() }),
  output: z.object({ receipt: z.string() }),
  errors: { CardDeclined: z.object({ limit: z.int() }) }, // final: never retried
  retry: { maxAttempts: 5, backoff: exponential({ initial: "200ms", max: "10s" }) },
  timeout: { attempt: "10s" },
});

export const refund = step("refund", { input: z.object({ receipt: z.string() }), output: z.void() });

export const ship = step("ship", {
  input: z.object({ orderId: z.string() }),
  output: z.object({ parcel: z.string() }),
});

/**
 * A workflow: a plain async function. It survives the end of its process, because it is replayed from what happened. So it
 * does nothing itself: whatever touches the world is a step, and time and chance come from `w`.
 */
export const order = workflow(
  "order",
  {
    input: z.object({ orderId: z.string(), cents: z.int() }),
    output: z.object({ receipt: z.string(), parcel: z.string() }),
  },
  async ({ orderId, cents }, w) => {
    const { receipt } = await w.run(charge, { orderId, cents });
    w.compensate(refund, { receipt }); // if anything below fails, or the run is cancelled
    await w.sleep("2s"); // might be 30 days
    const { parcel } = await w.run(ship, { orderId });
    return { receipt, parcel };
  },
);
