import type { Worker } from "@stepstream/step-worker";
import { charge, refund, ship } from "./workflows.ts";

const LIMIT = 100_000;

/** What steps do. A throw is a failed attempt: it is tried again as the step's policy says. */
export function handlers(worker: Pick<Worker, "handle">): void {
  worker
    .handle(charge, async ({ cents }, ctx) => {
      if (cents > LIMIT) return ctx.fail("CardDeclined", { limit: LIMIT });
      // The same key for every attempt: pass it on, so that what is tried twice happens once.
      return { receipt: `receipt-${ctx.idempotencyKey}` };
    })
    .handle(refund, async ({ receipt }, ctx) => {
      ctx.log.info("the money goes back", { receipt });
    })
    .handle(ship, async ({ orderId }) => ({ parcel: `parcel-${orderId}` }));
}
