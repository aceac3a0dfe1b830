/** What is to be deployed next, in versions.ts: a module as the coordinator and the check program take it. */

import { workflow } from "@stepstream/sdk";
import { definition, pack, ship, weigh } from "./versions.deployed.ts";

/** The same version, changed. Runs that have packed already go on as they were; those that come here now are weighed. */
export const patched = workflow("parcel", definition, async (input, w) => {
  const grams = w.patched("weigh first") ? await w.run(weigh, input) : undefined;
  const packed = await w.run(pack, input);
  await w.waitFor("paid");
  return w.run(ship, { packed, grams });
});

/** A version of its own. Runs are started with it from now on; those of version 1 stay with version 1. */
export const second = workflow("parcel", { ...definition, version: 2 }, async (input, w) => {
  await w.waitFor("paid"); // the money first
  const [grams, packed] = await w.all([w.run(weigh, input), w.run(pack, input)]);
  return w.run(ship, { packed, grams });
});
