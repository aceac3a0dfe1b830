/** What is done on a schedule here: a report, in one step. */

import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const write = step("write-report", { input: z.object({ about: z.string() }), output: z.string() });

export const report = workflow(
  "report",
  { input: z.object({ about: z.string() }), output: z.string() },
  async ({ about }, w) => w.run(write, { about }),
);
