/**
 * No shared state: values cross the bus as JSON, so each step gets one of its own. What a handler does to it is seen by
 * nobody else: not by the workflow, not by the next step, not by the next attempt.
 */

import { fixed, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "each step gets a value of its own: what one changes, no other sees";

const Basket = z.object({ items: z.array(z.string()) });

const spoil = step("spoil", { input: Basket, output: Basket, retry: { maxAttempts: 2, backoff: fixed("10ms") } });
const look = step("look", { input: Basket, output: Basket });

const shopping = workflow(
  "shopping",
  { input: Basket, output: z.object({ beside: Basket, after: Basket, spoiled: Basket, own: Basket }) },
  async (basket, w) => {
    const { spoiled, beside } = await w.all({ spoiled: w.run(spoil, basket), beside: w.run(look, basket) });
    // To give a step something else, make something else.
    const own = { items: [...basket.items, "bread"] };
    return { beside, after: await w.run(look, basket), spoiled, own: await w.run(look, own) };
  },
);

export async function play({ serve, client, say }: Stage) {
  const seenByAttempt: string[][] = [];
  await serve([shopping], (worker) =>
    worker
      .handle(spoil, ({ items }, ctx) => {
        seenByAttempt.push([...items]);
        // Says false where the value is frozen; where it is not, nobody sees the change.
        Reflect.set(items, 0, "a rotten apple");
        if (ctx.attempt === 1) throw new Error("half-way");
        return { items: [...items, "a worm"] };
      })
      .handle(look, (basket) => basket),
  );
  const input = { items: ["apple", "pear"] };
  const result = await (await client.start(shopping, input)).result();
  say(`what each attempt at "spoil" got   ${JSON.stringify(seenByAttempt)}`);
  say(`what the step beside it got        ${JSON.stringify(result.beside.items)}`);
  say(`what the step after it got         ${JSON.stringify(result.after.items)}`);
  say(`what the caller has                ${JSON.stringify(input.items)}`);
  return { seenByAttempt, input, ...result };
}
