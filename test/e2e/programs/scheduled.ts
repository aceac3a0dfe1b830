/** What the tests of schedules schedule. Needs no worker. */
import { type AnyWorkflow, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const quick = workflow("quick", { input: z.void(), output: z.number() }, async (_input, w) => w.now());

/** Ends when it is told to. */
export const patient = workflow(
  "patient",
  { input: z.object({ n: z.int() }), output: z.int(), signals: { go: z.void() } },
  async ({ n }, w) => {
    await w.waitFor("go");
    return n;
  },
);

export const broken = workflow("broken", { input: z.void(), output: z.void() }, async () => {
  throw new RangeError("by design");
});

export const scheduled: readonly AnyWorkflow[] = [quick, patient, broken];
