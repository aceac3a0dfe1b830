/**
 * Durable timers, from milliseconds to a year: a wait is in the run's history and not in a process. Coordinators may come
 * and go meanwhile; a timer is never early, and is over at once when nobody needs it any more.
 */

import { createCoordinator } from "@stepstream/coordinator";
import { workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "a wait outlives the process that it was begun in, is never early, and may take a year";

const Waited = z.object({ from: z.int(), until: z.int() });

const nap = workflow("nap", { input: z.object({ ms: z.int() }), output: Waited }, async ({ ms }, w) => {
  const from = w.now();
  await w.sleep(ms);
  return { from, until: w.now() };
});

/** Sends a reminder in a year, or none at all. */
const warranty = workflow(
  "warranty",
  { input: z.object({}), output: z.string(), signals: { sold: z.string() } },
  async (_, w) => {
    const sold = await w.waitFor("sold", { timeout: "365d" });
    return sold ? `sold to ${sold}` : "the warranty ends today";
  },
);

export async function play({ bus, client, say }: Stage) {
  const workflows = [nap, warranty];
  const first = await createCoordinator({ ...bus, workflows }).start();
  const short = await client.start(nap, { ms: 10 });
  const brief = await short.result();
  say(`10 ms     took ${brief.until - brief.from} ms`);

  const long = await client.start(nap, { ms: 4_000 }, { id: "long" });
  const year = await client.start(warranty, {}, { id: "year" });
  const due = await dueAt(year);
  await first.stop(); // nobody is there now
  say(`a year    is stored; due ${new Date(due.fireAt).toISOString().slice(0, 10)}; the coordinator has gone home`);
  const second = await createCoordinator({ ...bus, workflows }).start();
  try {
    const waited = await long.result();
    say(`4,000 ms  took ${waited.until - waited.from} ms, from one coordinator to the next`);
    await year.signal("sold", "kim");
    const sold = await year.result();
    say(`a year    was not needed: ${sold}`);
    return { brief, waited, due, sold };
  } finally {
    await second.stop();
  }
}

/** When the run's first timer was asked for, and when it fires, in epoch milliseconds. */
async function dueAt(run: Awaited<ReturnType<Stage["client"]["get"]>>): Promise<{ at: number; fireAt: number }> {
  for (;;) {
    for (const entry of await run.history())
      if (entry.kind === "journal")
        for (const event of entry.message.events)
          if (event.type === "TimerStarted") return { at: (await run.status()).startedAt, fireAt: event.fireAt };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
