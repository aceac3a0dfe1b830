/**
 * Long lives: a meter that runs for years. To replay a run takes as long as its history is; so now and then it goes on as
 * new (`w.continueAsNew`): under its id, with what it has to know as its input, and a history that begins there. Signals
 * that it was sent and has not asked for go along.
 */

import { once } from "node:events";
import { type RunHandle, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "a run goes on as new under its id: a short history, and no signal lost; how long a history is";

const Account = z.object({ kWh: z.int(), cents: z.int(), life: z.int() });
const bill = step("bill", { input: z.object({ kWh: z.int() }), output: z.object({ cents: z.int() }) });

/** So few for show: `w.history.continueSuggested` says when it is time, from 20,000 messages and decisions on. */
const READINGS_PER_LIFE = 10;

const meter = workflow(
  "meter",
  {
    input: Account,
    output: Account,
    signals: { reading: z.object({ kWh: z.int(), last: z.boolean().default(false) }) },
    queries: { history: z.object({ life: z.int(), length: z.int() }) },
  },
  async ({ kWh, cents, life }, w) => {
    w.onQuery("history", () => ({ life, length: w.history.length }));
    let used = 0;
    for (let n = 0; n < READINGS_PER_LIFE && !w.history.continueSuggested; n++) {
      const reading = await w.waitFor("reading");
      used += reading.kWh;
      if (reading.last) return { kWh: kWh + used, cents, life };
    }
    const billed = await w.run(bill, { kWh: used }); // readings that come meanwhile are kept
    return w.continueAsNew({ kWh: kWh + used, cents: cents + billed.cents, life: life + 1 });
  },
);

export async function play({ serve, client, say }: Stage) {
  const told = new AbortController();
  await serve([meter], (worker) =>
    worker.handle(bill, async ({ kWh }) => {
      if (!told.signal.aborted) await once(told.signal, "abort");
      return { cents: kWh * 30 };
    }),
  );
  const run = await client.start(meter, { kWh: 0, cents: 0, life: 1 }, { id: "meter-7" });
  for (let i = 0; i < 45; i++) await run.signal("reading", { kWh: i }, { id: `reading-${i}` });
  const first = await run.query("history");
  const { history } = await run.status();
  say(`life ${first.life}    45 readings, of which it has asked for 10; a replay goes through ${first.length}`);

  told.abort(); // now it can be billed, again and again
  await run.signal("reading", { kWh: 0, last: true });
  const account = await run.result();
  const last = await run.query("history");
  const carried = await carriedBy(run);
  say(`carried   ${carried.join(", ")} readings from life to life`);
  say(`life ${last.life}    the end: ${account.kWh} kWh, ${account.cents} cents; a replay goes through ${last.length}`);
  return { first, history, account, last, carried };
}

/** How many signals each life was given by the one before it. */
async function carriedBy(run: Pick<RunHandle, "history">): Promise<number[]> {
  const events = (await run.history()).flatMap((entry) => (entry.kind === "journal" ? entry.message.events : []));
  return events.flatMap((event) => (event.type === "RunContinued" ? (event.start.signals?.length ?? 0) : []));
}
