/** Workflows whose code does what it must not. */

import { workflow } from "@stepstream/sdk";
import { z } from "zod";

const anything = { input: z.any(), output: z.any() };

export const thrower = workflow("thrower", anything, () => {
  throw new Error("it is broken");
});
