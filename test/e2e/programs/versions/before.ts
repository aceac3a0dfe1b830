import { nothing, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const pack = step("pack", { input: z.string(), output: z.string() });
export const ship = step("ship", { input: z.string(), output: z.string() });

/** As it was deployed. */
export const order = workflow(
  "order",
  { input: z.string(), output: z.string(), signals: { paid: nothing } },
  async (what, w) => {
    const packed = await w.run(pack, what);
    await w.waitFor("paid");
    return w.run(ship, packed);
  },
);
