import { exponential, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** What is under test: a trial of thirty days, then the first payment. */
export const open = step("open", {
  input: z.object({ customer: z.string() }),
  output: z.object({ account: z.string() }),
});
export const close = step("close", { input: z.object({ account: z.string() }), output: z.void() });
export const mail = step("mail", { input: z.object({ to: z.string(), about: z.string() }), output: z.void() });
export const charge = step("charge", {
  input: z.object({ account: z.string(), cents: z.int() }),
  output: z.object({ receipt: z.string() }),
  errors: { CardDeclined: z.object({ reason: z.string() }) },
  retry: { maxAttempts: 5, backoff: exponential({ initial: "1s", max: "1m" }) },
  timeout: { attempt: "30s" },
});

export const subscription = workflow(
  "subscription",
  { input: z.object({ customer: z.string(), cents: z.int() }), output: z.object({ receipt: z.string() }) },
  async ({ customer, cents }, w) => {
    const { account } = await w.run(open, { customer });
    w.compensate(close, { account }); // if it is cancelled, or the payment fails
    await w.sleep("27d");
    await w.run(mail, { to: customer, about: "three days left" });
    await w.sleep("3d");
    return w.run(charge, { account, cents });
  },
);
