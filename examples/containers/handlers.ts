/** What the workers of infra/compose.yaml run. */
import type { Worker } from "@stepstream/step-worker";
import { charge, refund } from "./workflows.ts";

export function handlers(worker: Worker): void {
  worker
    .handle(charge, async (_input, ctx) => {
      // Every third attempt or so: something to see in traces and on the dashboard.
      if (Math.random() < 0.3) throw new Error("the bank does not answer");
      return { receipt: `receipt-${ctx.idempotencyKey}` };
    })
    .handle(refund, async () => {});
}
