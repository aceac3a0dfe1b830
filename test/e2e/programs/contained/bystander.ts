/** A run that has nothing to do with any fault, and is in progress while others have theirs. */

import { exponential, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const tick = step("tick", {
  input: z.number(),
  output: z.number(),
  retry: { maxAttempts: 5, backoff: exponential({ initial: "20ms", max: "100ms" }) },
});

/** Takes steps and short sleeps in turn until the signal "finish", then returns how many rounds there were. */
export const bystander = workflow(
  "bystander",
  {
    input: z.object({ every: z.number() }),
    output: z.object({ rounds: z.number() }),
    signals: { finish: z.boolean() },
    queries: { rounds: z.number() },
    updates: { add: { input: z.number(), output: z.number() } },
  },
  async ({ every }, w) => {
    let rounds = 0;
    w.onQuery("rounds", () => rounds);
    w.onUpdate("add", (n) => w.run(tick, n));
    while ((await w.waitFor("finish", { timeout: every })) === undefined) rounds = await w.run(tick, rounds);
    return { rounds };
  },
);
