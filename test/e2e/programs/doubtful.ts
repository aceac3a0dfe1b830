/** A step for a worker in whose own code faults are planted. */
import { fixed, step } from "@stepstream/sdk";
import type { Worker } from "@stepstream/step-worker";
import { z } from "zod";

/** Fails if its input is negative. */
export const doubtful = step("doubtful", {
  input: z.number(),
  output: z.number(),
  retry: { maxAttempts: 2, backoff: fixed("10ms") },
  timeout: { total: "1m" },
  concurrency: 10,
});

export function handlers(worker: Worker): void {
  worker.handle(doubtful, async (n) => {
    if (n < 0) throw new Error("negative");
    return n;
  });
}
