import { nothing, workflow } from "@stepstream/sdk";
import { z } from "zod";
import { pack, ship } from "./before.ts";

/** The same change, for runs that have not been there yet. */
export const order = workflow(
  "order",
  { input: z.string(), output: z.string(), signals: { paid: nothing } },
  async (what, w) => {
    if (w.patched("pay first")) await w.waitFor("paid");
    const packed = await w.run(pack, what);
    if (!w.patched("pay first")) await w.waitFor("paid");
    return w.run(ship, packed);
  },
);

/** And a version of its own, side by side with the first. */
export const order2 = workflow(
  "order",
  { input: z.string(), output: z.string(), version: 2, signals: { paid: nothing } },
  async (what, w) => {
    await w.waitFor("paid");
    return `${await w.run(ship, await w.run(pack, what))} (2)`;
  },
);
