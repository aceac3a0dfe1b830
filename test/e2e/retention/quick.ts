/** A workflow that ends at once: for coordinators. */
import { workflow } from "@stepstream/sdk";
import { z } from "zod";

/** Negative numbers fail. */
export const quick = workflow("quick", { input: z.number(), output: z.number() }, async (n) => {
  if (n < 0) throw new Error("negative");
  return n;
});
