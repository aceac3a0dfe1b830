import { fixed, step, workflow } from "@stepstream/sdk";
import type { Handler } from "@stepstream/step-worker";
import { z } from "zod";

export const add = step("add", {
  input: z.number(),
  output: z.number(),
  retry: { maxAttempts: 3, backoff: fixed("10ms") },
});
export const broken = step("broken", {
  input: z.number(),
  output: z.number(),
  retry: { maxAttempts: 20, backoff: fixed("5ms") },
  breaker: { failures: 2, cooldown: "10m" },
});
/** 13 fails for good, 7 at its first attempt. */
export const sum = workflow("sum", { input: z.number(), output: z.number() }, (n, w) => w.run(add, n));
export const breaking = workflow("breaking", { input: z.number(), output: z.number() }, (n, w) => w.run(broken, n));

const adding: Handler<typeof add> = (n, ctx) => {
  if (n === 13 || (n === 7 && ctx.attempt === 1)) throw new Error("no luck");
  return n + 1;
};
export const handlers = [
  { step: add, handler: adding },
  {
    step: broken,
    handler: () => {
      throw new Error("the far side is down");
    },
  },
];
