/** Workflows of which there are many runs. */
import { workflow } from "@stepstream/sdk";
import { z } from "zod";

/** Does nothing until it is stopped. */
export const waits = workflow(
  "waits",
  { input: z.number(), output: z.void(), signals: { go: z.object({}) } },
  async (_, w) => {
    await w.waitFor("go");
  },
);

export const fails = workflow("fails", { input: z.number(), output: z.number() }, async (n) => {
  throw new Error(`no ${n}`);
});

export const ends = workflow("ends", { input: z.number(), output: z.number() }, async (n) => n);

/** Has so many children; with -1, one that fails. */
export const child = workflow("child", { input: z.number(), output: z.number() }, async (n, w) => {
  if (n < 0) return w.child(fails, 0, { id: `${w.runId}-0` });
  for (let i = 0; i < n; i++) await w.child(ends, i, { id: `${w.runId}-${i}` });
  return n;
});
