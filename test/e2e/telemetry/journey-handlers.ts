/** Handlers for `journey.ts`; one has a span of its own, and reads the caller's baggage. */

import { propagation, trace } from "@opentelemetry/api";
import { DeclaredError } from "@stepstream/sdk";
import type { Worker } from "@stepstream/step-worker";
import { book, pay, stamp, unbook } from "./journey.ts";

export function handlers(worker: Worker): void {
  worker
    .handle(book, (_input, ctx) => {
      if (ctx.attempt === 1) throw new Error("the line is busy");
      return "12A";
    })
    .handle(unbook, () => {})
    .handle(stamp, () => {
      trace.getTracer("test").startSpan("SELECT").end();
      return propagation.getActiveBaggage()?.getEntry("tenant")?.value ?? "nobody";
    })
    .handle(pay, () => {
      throw new DeclaredError("CardDeclined", {});
    });
}
