/**
 * Clean-up: what an attempt acquires it gives back in `finally`: after success, failure and cancel alike, once. What
 * outlives its step is given back by a compensation: after failure and cancel, once, whatever machine it is on.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { fixed, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "what was acquired is released on success, failure and cancel, once";

const Job = z.object({ how: z.enum(["succeeds", "fails", "is cancelled"]) });

const rent = step("rent", { input: Job, output: z.object({ machine: z.string() }) });
const giveBack = step("give-back", { input: z.object({ machine: z.string() }), output: z.void() });
const compute = step("compute", { input: Job, output: z.void(), retry: { maxAttempts: 2, backoff: fixed("10ms") } });

const job = workflow("compute-job", { input: Job, output: z.void() }, async (input, w) => {
  const rented = await w.run(rent, input);
  w.compensate(giveBack, rented); // if anything below fails, or the run is cancelled
  await w.run(compute, input);
  await w.run(giveBack, rented); // and if all went well
});

/** Counts what is taken and what is given back, by name. */
class Ledger {
  readonly #entries = new Map<string, { acquired: number; released: number }>();
  acquire(name: string): void {
    this.#of(name).acquired++;
  }
  release(name: string): void {
    this.#of(name).released++;
  }
  get entries() {
    return Object.fromEntries(this.#entries);
  }
  #of(name: string) {
    const entry = this.#entries.get(name) ?? { acquired: 0, released: 0 };
    this.#entries.set(name, entry);
    return entry;
  }
}

export async function play({ serve, client, until, say }: Stage) {
  const ledger = new Ledger();
  await serve([job], (worker) =>
    worker
      .handle(rent, ({ how }) => {
        ledger.acquire(`machine of the job that ${how}`);
        return { machine: `machine of the job that ${how}` };
      })
      .handle(giveBack, ({ machine }) => ledger.release(machine))
      .handle(compute, async ({ how }, ctx) => {
        const file = `file of attempt ${ctx.attempt} of the job that ${how}`;
        ledger.acquire(file);
        try {
          if (how === "fails") throw new Error("a number was divided by nothing");
          await sleep(how === "is cancelled" ? 60_000 : 10, undefined, { signal: ctx.signal });
        } finally {
          ledger.release(file);
        }
      }),
  );
  const outcomes: Record<string, string> = {};
  for (const how of Job.shape.how.options) {
    const run = await client.start(job, { how });
    if (how === "is cancelled") {
      await until((event) => event.type === "attempt" && event.step === "compute" && event.run === run.id);
      await run.cancel({ reason: "too dear" });
    }
    await run.result().catch(() => {});
    outcomes[how] = (await run.status()).status;
  }
  for (const [name, { acquired, released }] of Object.entries(ledger.entries))
    say(`${name}: acquired ${acquired}, released ${released}`);
  return { outcomes, ledger: ledger.entries };
}
