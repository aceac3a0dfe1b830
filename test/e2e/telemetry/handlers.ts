/** Handlers for `node services/step-worker/src/main.ts`; one has a span of its own. */

import { trace } from "@opentelemetry/api";
import type { Worker } from "@stepstream/step-worker";
import { first, flaky, last } from "./trip.ts";

export function handlers(worker: Worker): void {
  worker
    .handle(first, async () => {
      await Promise.resolve();
      trace.getTracer("test").startSpan("SELECT").end();
      return "a";
    })
    .handle(flaky, (input, ctx) => {
      if (ctx.attempt === 1) throw new Error("not yet");
      return `${input}b`;
    })
    .handle(last, (input) => `${input}c`);
}
