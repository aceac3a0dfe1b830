/** What is deployed, in versions.ts: version 1, and its runs are under way. */

import { nothing, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const What = z.object({ what: z.string() });
export const weigh = step("weigh", { input: What, output: z.int() });
export const pack = step("pack", { input: What, output: z.string() });
export const ship = step("ship", {
  input: z.object({ packed: z.string(), grams: z.int().optional() }),
  output: z.string(),
});

export const definition = { input: What, output: z.string(), signals: { paid: nothing } };

export const parcel = workflow("parcel", definition, async (input, w) => {
  const packed = await w.run(pack, input);
  await w.waitFor("paid");
  return w.run(ship, { packed });
});
