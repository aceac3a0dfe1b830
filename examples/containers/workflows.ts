/** What the coordinators of infra/compose.yaml run. */
import { exponential, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const charge = step("charge", {
  input: z.object({ item: z.string(), cents: z.int() }),
  output: z.object({ receipt: z.string() }),
  retry: { maxAttempts: 10, backoff: exponential({ initial: "100ms", max: "2s" }) },
  timeout: { attempt: "10s" },
});
export const ship = step("ship", { input: z.object({ item: z.string() }), output: z.object({ parcel: z.string() }) });

export const order = workflow(
  "order",
  {
    input: z.object({ item: z.string(), cents: z.int() }),
    output: z.object({ receipt: z.string(), parcel: z.string() }),
  },
  async (input, w) => {
    const { receipt } = await w.run(charge, input);
    await w.sleep("1s");
    const { parcel } = await w.run(ship, { item: input.item });
    return { receipt, parcel };
  },
);
