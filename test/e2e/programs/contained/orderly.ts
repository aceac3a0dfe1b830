/** A workflow that does nothing wrong: faults are planted in the coordinator's own code, for runs by name. */
import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const add = step("add", { input: z.number(), output: z.number() });

export const orderly = workflow("orderly", { input: z.any(), output: z.number() }, async (_, w) => {
  const one = await w.run(add, 0);
  await w.sleep(50);
  return w.run(add, one);
});
