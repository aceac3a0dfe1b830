/** Handlers for `journey.ts`; one has a span of its own, and reads the caller's baggage. */

import { propagation, trace } from "@opentelemetry/api";
import { DeclaredError } from "@stepstream/sdk";
import type { Worker } from "@stepstream/step-worker";
import { book, pay, stamp, unbook } from "./journey.ts";

/** So that a picture has something to show. In milliseconds. */
const TAKES_MS = Number(process.env.TAKES_MS ?? 0);
const work = () => new Promise((resolve) => setTimeout(resolve, TAKES_MS));

export function handlers(worker: Worker): void {
  worker
    .handle(book, async (_input, ctx) => {
      await work();
      if (ctx.attempt === 1) throw new Error("the line is busy");
      return "12A";
    })
    .handle(unbook, () => work().then(() => {}))
    .handle(stamp, async () => {
      const select = trace.getTracer("test").startSpan("SELECT");
      await work();
      select.end();
      return propagation.getActiveBaggage()?.getEntry("tenant")?.value ?? "nobody";
    })
    .handle(pay, async () => {
      await work();
      throw new DeclaredError("CardDeclined", {});
    });
}
