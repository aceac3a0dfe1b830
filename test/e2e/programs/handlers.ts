/** Handlers for `node services/step-worker/src/main.ts`: in one of the two ways it takes. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "@stepstream/step-worker";
import { count, take } from "./steps.ts";

export function handlers(worker: Worker): void {
  worker
    .handle(count, async (n, ctx) => {
      const from = (ctx.heartbeatDetails as { counted: number } | undefined)?.counted ?? 0;
      for (let i = from; i < n; i++) {
        ctx.heartbeat({ counted: i, by: process.pid });
        await sleep(50);
      }
      return from;
    })
    .handle(take, async (ms, ctx) => {
      console.log(`taking ${ms}`);
      await sleep(ms, undefined, { signal: ctx.signal });
      return ms;
    });
}
