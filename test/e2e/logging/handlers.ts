/** Handlers for `node services/step-worker/src/main.ts`. */

import { context, trace } from "@opentelemetry/api";
import type { Worker } from "@stepstream/step-worker";
import { say } from "./talk.ts";

export const handlers = (worker: Worker) =>
  worker.handle(say, async (what, ctx) => {
    ctx.log.info("about to say it", { what });
    const span = trace.getTracer("test").startSpan("inner");
    context.with(trace.setSpan(context.active(), span), () => ctx.log.debug("in a span of its own"));
    span.end();
    if (ctx.attempt === 1) throw new TypeError("lost its voice");
    await Promise.resolve();
    return what;
  });
