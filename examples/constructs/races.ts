/**
 * Races: branches with names, each in a scope of its own. A branch that loses is cancelled as a whole, so its wait takes no
 * signal of a later round; a wait takes only the signals that it is for; and what is in progress may end first.
 */

import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "the first branch has a name; a wait that has lost takes nothing; answers go to who asked";

const weigh = step("weigh", { input: z.object({ parcel: z.string() }), output: z.object({ grams: z.int() }) });

const Answer = z.object({ parcel: z.string(), says: z.string() });
/** Asks about each parcel at the same time, and takes what comes meanwhile. */
const counter = workflow(
  "counter",
  {
    input: z.object({ parcels: z.array(z.string()) }),
    output: z.object({ answers: z.array(z.string()), rounds: z.array(z.string()), closed: z.string() }),
    signals: { answer: Answer, customer: z.string(), close: z.void() },
    queries: { rounds: z.int() },
    updates: { add: { input: z.object({ parcel: z.string() }), output: z.int() } },
  },
  async ({ parcels }, w) => {
    let grams = 0;
    w.onUpdate("add", async (parcel) => {
      grams += (await w.run(weigh, parcel)).grams;
      return grams;
    });
    // Each takes the answer for its own parcel, in whatever order they come.
    const answers = await w.map(parcels, async (parcel) => {
      const answer = await w.waitFor("answer", { where: (one) => one.parcel === parcel });
      return `${parcel}: ${answer.says}`;
    });
    const rounds: string[] = [];
    w.onQuery("rounds", () => rounds.length);
    while (rounds.filter((name) => name !== "tick").length < 2) {
      const first = await w.race({ customer: () => w.waitFor("customer"), tick: () => w.sleep("300ms") });
      rounds.push(first.name === "customer" ? first.value : "tick");
    }
    const closed = await w.waitFor("close", { timeout: "1h", onTimeout: "throw" }).then(
      () => "in time", // the signal has no payload, and is no time-out
      () => "by the clock",
    );
    await w.until(() => w.updatesInProgress === 0); // so that none is refused for the end
    return { answers, rounds, closed };
  },
);

export async function play({ serve, client, say }: Stage) {
  const scales = Promise.withResolvers<void>();
  await serve([counter], (worker) =>
    worker.handle(weigh, async ({ parcel }) => {
      await scales.promise;
      return { grams: parcel.length };
    }),
  );
  const run = await client.start(counter, { parcels: ["a", "b"] });
  const added = run.update("add", { parcel: "c" });
  await run.signal("answer", { parcel: "b", says: "blue" });
  await run.signal("answer", { parcel: "a", says: "amber" });
  while ((await run.query("rounds")) === 0) await new Promise((resolve) => setTimeout(resolve, 20)); // lost to the clock
  for (const name of ["eva", "max"]) await run.signal("customer", name);
  await run.signal("close", undefined);
  scales.resolve();
  const grams = await added;
  const result = await run.result();
  say(`answers   ${result.answers.join(", ")}`);
  say(`rounds    ${result.rounds.join(", ")}`);
  say(`closed    ${result.closed}; the update that was in progress is answered: ${grams}`);
  return { ...result, grams };
}
