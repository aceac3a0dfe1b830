/** What is in progress while the server is killed again and again: for coordinators (workflows) and workers (handlers). */
import { fixed, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const int = { input: z.int(), output: z.int() };
/** Fails once. Waits for its retry in the queue; its deadline is a stored timer. */
const trip = step("trip", { ...int, concurrency: 500, retry: { backoff: fixed("4s") }, timeout: { total: "10m" } });
const rise = step("rise", { ...int, concurrency: 500 });

/** Three times: a step with a retry, a stored timer that loses its race, a stored timer, and another step. */
export const stumble = workflow("stumble", int, async (n, w) => {
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    const tripped = await w.race([w.run(trip, n), w.sleep("5m").then(() => -1)]);
    await w.sleep("4s");
    sum += await w.run(rise, tripped);
  }
  return sum;
});

export const handlers = [
  {
    step: trip,
    handler: async (n: number, { attempt }: { attempt: number }) => {
      if (attempt === 1) throw new Error("once");
      return n;
    },
  },
  { step: rise, handler: async (n: number) => n },
];
