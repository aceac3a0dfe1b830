/** What is in progress while the server is away: for coordinators (workflows) and workers (handlers). */
import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const walk = step("walk", {
  input: z.number(),
  output: z.number(),
  concurrency: 200,
  retry: { maxAttempts: 20 },
  timeout: { attempt: "10s" },
});
/** Does not listen to its signal: it is abandoned after the grace of a cancel. */
const stubborn = step("stubborn", {
  input: z.number(),
  output: z.number(),
  concurrency: 50,
  timeout: { attempt: "20m" },
});

/** Steps one after the other, a timer, and another step. */
export const errand = workflow("errand", { input: z.number(), output: z.number() }, async (n, w) => {
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    sum += await w.run(walk, n);
    await w.sleep(i === n % 6 ? 4_000 : 100);
  }
  return sum;
});

/** One step. */
export const stroll = workflow("stroll", { input: z.number(), output: z.number() }, (n, w) => w.run(walk, n));

/** A stored timer. */
export const nap = workflow("nap", { input: z.number(), output: z.number() }, async (n, w) => {
  await w.sleep("1h");
  return n;
});

/** Is cancelled while its steps run. */
export const strike = workflow("strike", { input: z.number(), output: z.number() }, async (n, w) => {
  const done = await w.all([w.run(stubborn, n), w.run(stubborn, n), w.run(stubborn, n)]);
  return done.length;
});

const busy = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

export const handlers: { step: typeof walk | typeof stubborn; handler: any }[] = [
  {
    step: walk,
    handler: async (n: number) => {
      await busy(200 + 10 * n); // So that they are not all in the same place when the server goes away.
      return n;
    },
  },
  {
    step: stubborn,
    handler: async (n: number) => {
      await busy(600_000);
      return n;
    },
  },
];
