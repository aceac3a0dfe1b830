/**
 * Signals, queries, updates: an expense waits for two people. They tell it (`w.waitFor`), ask it (`w.onQuery`) and change
 * it (`w.onUpdate`), with no step in between and no polling; each name has its schemas, on both sides.
 */

import { type RunHandle, step, UpdateRefusedError, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "a run is told by signals, asked by queries, changed by updates; each is checked, and counts once";

const Expense = z.object({ what: z.string(), cents: z.int().positive(), patienceMs: z.int() });
const budget = step("budget", { input: z.object({ what: z.string() }), output: z.object({ cents: z.int() }) });

/** What the sender of an update gets as the cause of its refusal: name, code and data come through. */
class TooLate extends Error {
  override readonly name = "TooLate";
  readonly code = "TOO_LATE";
  readonly data: unknown;

  constructor(by: string) {
    super(`${by} has approved of another sum`);
    this.data = { by };
  }
}

const expense = workflow(
  "expense",
  {
    input: Expense,
    output: z.object({ cents: z.int(), approvedBy: z.array(z.string()) }),
    signals: { approve: z.object({ by: z.string() }) },
    queries: {
      state: z.object({ cents: z.int(), approvedBy: z.array(z.string()) }),
      // One that is asked something.
      hasApproved: { input: z.string(), output: z.boolean() },
    },
    updates: { amend: { input: z.int().positive(), output: z.object({ cents: z.int() }) } },
  },
  async ({ what, cents, patienceMs }, w) => {
    const approvedBy: string[] = [];
    w.onQuery("state", () => ({ cents, approvedBy })); // looks, and changes nothing
    w.onQuery("hasApproved", (who) => approvedBy.includes(who));
    w.onUpdate(
      "amend",
      async (asked) => {
        const left = await w.run(budget, { what }); // may wait for steps, as the workflow itself
        cents = Math.min(asked, left.cents);
        return { cents };
      },
      {
        validate() {
          const [first] = approvedBy;
          if (first) throw new TooLate(first); // nothing has been changed
        },
      },
    );
    await w.until(() => cents <= 100_000); // until somebody has amended it
    while (approvedBy.length < 2) {
      const approval = await w.waitFor("approve", { timeout: patienceMs }); // undefined if nobody comes
      if (!approval) break;
      approvedBy.push(approval.by);
    }
    return { cents, approvedBy };
  },
);

export async function play({ serve, client, say }: Stage) {
  await serve([expense], (worker) => worker.handle(budget, () => ({ cents: 80_000 })));
  const run = await client.start(expense, { what: "a bicycle", cents: 250_000, patienceMs: 3_600_000 });

  // Nobody waits for it yet: it is kept. The same id again is the same signal, whoever sends it.
  for (let sent = 0; sent < 2; sent++) await run.signal("approve", { by: "eva" }, { id: "from-eva" });
  const before = await run.query("state");
  say(`asked     ${before.cents} cents, approved by ${before.approvedBy.length}`);

  const amended = await run.update("amend", 90_000);
  say(`amended   to ${amended.cents} cents, and eva's approval, kept till then, is taken`);
  const eva = await run.query("hasApproved", "eva");
  const refusal = await run.update("amend", 1).catch((error: unknown) => error);
  if (!(refusal instanceof UpdateRefusedError)) throw refusal;
  say(`refused   ${(refusal.cause as Error).name}: ${(refusal.cause as Error).message}`);

  // What fits no schema is refused here if the handle knows the workflow, and by the run if it does not.
  const unfit = await codeOf(run.signal("approve", { by: 7 } as never));
  const unknown = await codeOf(client.get(run.id).signal("aprove", { by: "kim" }));
  say(`unfit     ${unfit}; unknown name ${unknown}`);

  await run.signal("approve", { by: "kim" });
  const result = await run.result();
  say(`result    ${JSON.stringify(result)}`);
  const after = await run.query("state"); // replayed from its history, if it is in nobody's memory
  const late = await codeOf(run.signal("approve", { by: "zoe" }));
  say(`its end   still answers: ${after.approvedBy.join(" and ")}; one signal more is ${late}`);

  const alone = await client.start(expense, { what: "a pen", cents: 300, patienceMs: 100 });
  const nobody = await alone.result();
  say(`nobody    came in 100 ms: approved by ${nobody.approvedBy.length}`);
  return { before, amended, eva, refusal, unfit, unknown, result, after, late, nobody, accepted: await countOf(run) };
}

async function codeOf(refused: Promise<unknown>): Promise<string> {
  return refused.then(
    () => "nothing",
    (error: { code: string }) => error.code,
  );
}

/** How many signals the run has taken note of. */
async function countOf(run: Pick<RunHandle, "history">): Promise<number> {
  const events = (await run.history()).flatMap((entry) => (entry.kind === "journal" ? entry.message.events : []));
  return events.filter((event) => event.type === "SignalAccepted").length;
}
