import type { HandlerInput } from "@stepstream/sdk";
import type { StepContext } from "@stepstream/step-worker";
import { charge, close, mail, open } from "./subscription.ts";

/** Stands for a database and a bank: `ctx.idempotencyKey` makes what is asked for twice happen once. */
export const accounts = new Map<string, { customer: string; open: boolean }>();
export const payments = new Map<string, number>();

/** What a worker's module exports, as in production: `node services/step-worker/src/main.ts examples/testing/handlers.ts`. */
export const handlers = [
  {
    step: open,
    handler: async ({ customer }: HandlerInput<typeof open>, ctx: StepContext<typeof open>) => {
      accounts.set(ctx.idempotencyKey, { customer, open: true });
      return { account: ctx.idempotencyKey };
    },
  },
  {
    step: close,
    handler: async ({ account }: HandlerInput<typeof close>) => {
      accounts.get(account)!.open = false;
    },
  },
  { step: mail, handler: async () => {} },
  {
    step: charge,
    handler: async ({ cents }: HandlerInput<typeof charge>, ctx: StepContext<typeof charge>) => {
      if (cents > 100_000) return ctx.fail("CardDeclined", { reason: "limit" });
      payments.set(ctx.idempotencyKey, cents);
      return { receipt: `r-${ctx.idempotencyKey}` };
    },
  },
];
