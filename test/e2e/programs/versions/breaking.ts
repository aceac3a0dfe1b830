import { nothing, workflow } from "@stepstream/sdk";
import { z } from "zod";
import { pack, ship } from "./before.ts";

/** Somebody has changed the order of things. Runs that have packed already cannot go on with this. */
export const order = workflow(
  "order",
  { input: z.string(), output: z.string(), signals: { paid: nothing } },
  async (what, w) => {
    await w.waitFor("paid");
    return w.run(ship, await w.run(pack, what));
  },
);
