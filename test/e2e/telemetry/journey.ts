/** A workflow of which everything that a trace can show is to be seen, for the test against Jaeger. */

import { fixed, nothing, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const quick = { retry: { maxAttempts: 3, backoff: fixed("50ms") } };
/** Fails at the first attempt. */
export const book = step("book", { input: nothing, output: z.string(), ...quick });
/** Undoes `book`. */
export const unbook = step("unbook", { input: z.string(), output: nothing });
/** Gives back the tenant that the caller's baggage names. */
export const stamp = step("stamp", { input: nothing, output: z.string() });
export const pay = step("pay", { input: nothing, output: nothing, errors: { CardDeclined: z.object({}) } });

export const visa = workflow("visa", { input: nothing, output: z.string() }, (_input, w) => w.run(stamp, undefined));

/** Has two lives. */
export const news = workflow("news", { input: z.int(), output: z.string() }, async (lives, w) => {
  const tenant = await w.run(stamp, undefined);
  return lives > 1 ? w.continueAsNew(lives - 1) : tenant;
});

export const journey = workflow(
  "journey",
  { input: nothing, output: nothing, signals: { approve: z.object({ by: z.string() }) } },
  async (_input, w) => {
    const seat = await w.run(book, undefined);
    w.compensate(unbook, seat);
    await w.sleep("40ms");
    const visaFor = await w.child(visa, undefined, { id: `${w.runId}-visa` });
    const newsFor = await w.child(news, 2, { id: `${w.runId}-news`, trace: "linked" });
    w.progress({ step: 1, total: 2, name: `waiting for ${visaFor} and ${newsFor}` });
    await w.waitFor("approve");
    await w.run(pay, undefined);
  },
);
