/** What the worker program of durable-activities.ts does: a page, a heartbeat, a page, a heartbeat … */

import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "@stepstream/step-worker";
import { z } from "zod";
import { transcribe } from "./durable-activities.ts";

const Details = z.object({ done: z.int() }).default({ done: 0 });

export const handlers = (worker: Worker) =>
  worker.handle(transcribe, async ({ pages }, ctx) => {
    const { done } = Details.parse(ctx.heartbeatDetails); // of the attempt before, wherever that was
    for (let page = done + 1; page <= pages; page++) {
      await sleep(40, undefined, { signal: ctx.signal });
      ctx.heartbeat({ done: page });
    }
    return { pages, from: done + 1, attempt: ctx.attempt, by: process.pid };
  });
