/** A worker whose step has the heartbeat that `HEARTBEAT` says: two versions of the same worker. */

import { setTimeout as sleep } from "node:timers/promises";
import { step } from "@stepstream/sdk";
import type { Worker } from "@stepstream/step-worker";
import { z } from "zod";

/** Takes as many milliseconds as its input says. */
export const slow = (heartbeat: string) =>
  step("slow", { input: z.number(), output: z.number(), heartbeat: heartbeat as "1s", concurrency: 200 });

export function handlers(worker: Worker): void {
  worker.handle(slow(process.env.HEARTBEAT ?? "10s"), async (ms, ctx) => {
    console.log(`begins ${ctx.run}`);
    for (const until = performance.now() + ms; performance.now() < until; ) {
      ctx.signal.throwIfAborted();
      ctx.heartbeat();
      await sleep(Math.min(100, until - performance.now() + 1));
    }
    return ms;
  });
}
