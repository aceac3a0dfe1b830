/** Partial success: every outcome comes back, as a success with its result or a failure with its error; the caller decides. */

import { StepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "every outcome comes back, good or bad, and the workflow decides what it is worth";

const ask = step("ask", {
  input: z.object({ shop: z.string() }),
  output: z.object({ shop: z.string(), cents: z.int() }),
  errors: { Closed: z.object({ shop: z.string() }) },
});

const compare = workflow(
  "compare-prices",
  {
    input: z.object({ shops: z.array(z.string()), quorum: z.int() }),
    output: z.object({
      cheapest: z.object({ shop: z.string(), cents: z.int() }),
      silent: z.array(z.object({ shop: z.string(), why: z.string() })),
    }),
  },
  async ({ shops, quorum }, w) => {
    const outcomes = await w.allSettled(shops.map((shop) => w.run(ask, { shop })));
    const offers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    const silent = outcomes.flatMap((outcome, i) =>
      outcome.status === "rejected" ? [{ shop: shops[i]!, why: whyOf(outcome.reason) }] : [],
    );
    if (offers.length < quorum) throw new Error(`${offers.length} of ${shops.length} shops answered, not ${quorum}`);
    const cheapest = offers.toSorted((a, b) => a.cents - b.cents)[0]!;
    return { cheapest, silent };
  },
);

function whyOf(reason: unknown): string {
  return reason instanceof StepError && reason.cause instanceof Error ? reason.cause.message : String(reason);
}

export async function play({ serve, client, say }: Stage) {
  await serve([compare], (worker) =>
    worker.handle(ask, ({ shop }, ctx) => {
      if (shop.startsWith("old")) return ctx.fail("Closed", { shop });
      return { shop, cents: 100 + shop.length };
    }),
  );
  const shops = ["corner", "old mill", "market"];
  const enough = await client.start(compare, { shops, quorum: 2 });
  const { cheapest, silent } = await enough.result();
  say(`cheapest  ${cheapest.shop}, ${cheapest.cents} cents`);
  for (const { shop, why } of silent) say(`silent    ${shop}: ${why}`);

  const strict = await client.start(compare, { shops, quorum: 3 });
  const error = await strict.result().catch((thrown: unknown) => thrown);
  say(`quorum 3  ${error}`);
  return { cheapest, silent, error };
}
