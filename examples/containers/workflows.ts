/** What the coordinators of infra/compose.yaml run. */
import { exponential, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const charge = step("charge", {
  input: z.object({ item: z.string(), cents: z.int() }),
  output: z.object({ receipt: z.string() }),
  retry: { maxAttempts: 10, backoff: exponential({ initial: "100ms", max: "2s" }) },
  timeout: { attempt: "10s" },
});
export const refund = step("refund", { input: z.object({ receipt: z.string() }), output: z.void() });

export const order = workflow(
  "order",
  {
    input: z.object({ item: z.string(), cents: z.int() }),
    output: z.object({ receipt: z.string(), returned: z.boolean() }),
  },
  async (input, w) => {
    const { receipt } = await w.run(charge, input);
    await w.sleep("1s");
    // Replayed, it is the same number: one order in five comes back.
    const returned = Math.random() < 0.2;
    if (returned) await w.run(refund, { receipt });
    return { receipt, returned };
  },
);
