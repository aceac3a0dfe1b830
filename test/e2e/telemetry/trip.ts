/** The workflows and the steps that the tests of telemetry trace, in processes of their own. */

import { fixed, nothing, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const first = step("first", { input: nothing, output: z.string() });
/** Fails at the first attempt. */
export const flaky = step("flaky", { input: z.string(), output: z.string(), retry: { backoff: fixed("1s") } });
export const last = step("last", { input: z.string(), output: z.string() });

export const trip = workflow("trip", { input: nothing, output: z.string() }, async (_input, w) => {
  const a = await w.run(first, undefined);
  const b = await w.run(flaky, a);
  return w.run(last, b);
});

export const hop = workflow("hop", { input: nothing, output: z.string() }, (_input, w) => w.run(first, undefined));
