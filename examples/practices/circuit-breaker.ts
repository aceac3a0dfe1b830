/**
 * Circuit breaker: after so many failures in a row no attempt is made for a while; then one, the probe, decides. Nobody
 * resets it. While it is open, attempts are not used up, and other steps go on.
 */

import { fixed, step, workflow } from "@stepstream/sdk";
import type { BreakerState } from "@stepstream/step-worker";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "stops after N failures in a row, cools down, probes, recovers alone";

const Order = z.object({ order: z.int() });

const pay = step("pay", {
  input: Order,
  output: z.string(),
  retry: { maxAttempts: 5, backoff: fixed("10ms") },
  breaker: { failures: 3, cooldown: "1s" },
  concurrency: 1,
});
const pack = step("pack", { input: Order, output: z.string() });

const shop = workflow("shop", { input: Order, output: z.array(z.string()) }, (input, w) =>
  w.all([w.run(pack, input), w.run(pay, input)]),
);

export async function play({ serve, client, events, until, say }: Stage) {
  const calls: { at: number; good: boolean }[] = [];
  /** Order → the state of the bank's breaker when it was packed. */
  const packed = new Map<number, BreakerState>();
  const states = () => events.flatMap((event) => (event.type === "breaker" ? [event.state] : []));

  await serve([shop], (worker) =>
    worker
      .handle(pay, ({ order }) => {
        // The bank is down for the first three calls, and for the probe after them.
        const good = calls.length >= 4;
        calls.push({ at: performance.now(), good });
        if (!good) throw new Error("the bank does not answer");
        return `paid ${order}`;
      })
      .handle(pack, ({ order }) => {
        packed.set(order, worker.breakers().pay!);
        return `packed ${order}`;
      }),
  );
  const runs = await Promise.all([1, 2].map((order) => client.start(shop, { order })));
  await until((event) => event.type === "breaker" && event.state === "open");
  runs.push(await client.start(shop, { order: 3 })); // while it is open
  const results = await Promise.all(runs.map((run) => run.result()));

  const pauses = calls.slice(1).map(({ at }, i) => Math.round(at - calls[i]!.at));
  const attempts = events.filter((event) => event.type === "retrying" && event.step === "pay").length;
  say(`calls    ${calls.map(({ good }) => (good ? "good" : "bad")).join(", ")}`);
  say(`pauses   ${pauses.join(", ")} ms`);
  say(`breaker  ${states().join(" → ")}`);
  for (const [order, state] of packed) say(`packed   order ${order} while the breaker was ${state}`);
  say(`results  ${results.flat().join(", ")}`);
  return { calls, pauses, states: states(), results, attempts, packed };
}
