/**
 * Children: runs of their own that a run waits for. What becomes of them when their parent ends first is a matter of
 * policy; a child that is stopped on its own fails its parent and does not cancel it. (How failures come up through
 * generations, and cancels go down, is examples/practices/job-flows.ts.)
 */

import { once } from "node:events";
import { ChildError, type RunHandle, type RunState, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "../practices/stage.ts";

export const about = "what becomes of children when their parent ends first; an id that is taken; one stopped alone";

const Nothing = z.object({});
const dig = step("dig", { input: Nothing, output: z.string() });
const tidy = step("tidy", { input: Nothing, output: z.void() });

const gardener = workflow("gardener", { input: Nothing, output: z.string() }, async (_, w) => {
  w.compensate(tidy, {});
  return w.run(dig, {});
});

const POLICIES = ["cancel", "terminate", "abandon"] as const;

/** Ends when it is told to, though its gardeners still dig. */
const estate = workflow(
  "estate",
  { input: Nothing, output: z.string(), signals: { enough: z.string() } },
  async (_, w) => {
    const gardeners = POLICIES.map((onParentClose) =>
      w.child(gardener, {}, { id: `${w.runId}-${onParentClose}`, onParentClose }),
    );
    return w.race([w.waitFor("enough"), ...gardeners]);
  },
);

/** Waits for one, whoever that is. */
const patron = workflow("patron", { input: z.object({ id: z.string() }), output: z.string() }, ({ id }, w) =>
  w.child(gardener, {}, { id }),
);

export async function play({ serve, client, until, say }: Stage) {
  const tidied: string[] = [];
  const stopped: string[] = [];
  const thaw = new AbortController();
  await serve([estate, gardener, patron], (worker) =>
    worker
      .handle(dig, async (_, { signal, run }) => {
        await once(AbortSignal.any([signal, thaw.signal]), "abort");
        if (!signal.aborted) return "a hole";
        stopped.push(run);
        throw signal.reason;
      })
      .handle(tidy, (_, { run }) => void tidied.push(run)),
  );
  const digs = (run: string) => until((event) => event.type === "attempt" && event.step === "dig" && event.run === run);
  const ended = async (run: RunHandle): Promise<RunState> => {
    await run.result().catch(() => {});
    return (await run.status()).status;
  };

  const run = await client.start(estate, {}, { id: "estate" });
  await Promise.all(POLICIES.map((policy) => digs(`estate-${policy}`)));
  await run.signal("enough", "the frost has come");
  const result = await run.result(); // comes once the cancelled one has tidied up
  const statuses: Record<string, RunState> = {};
  for (const policy of POLICIES) {
    const child = client.get(`estate-${policy}`);
    statuses[policy] = policy === "abandon" ? (await child.status()).status : await ended(child);
  }
  say(`ended     ${result}: ${POLICIES.map((policy) => `${policy} → ${statuses[policy]}`).join(", ")}`);
  await until((event) => event.type === "cancelled" && event.run === "estate-terminate"); // its attempt, which was told
  say(`tidied    ${tidied.join(", ")}: a terminated run cleans up nothing`);

  // A child's id is its idempotency key: it has one parent.
  const stranger = await failure(await client.start(patron, { id: "estate-abandon" }, { id: "envious" }));
  say(`taken     ${(stranger.cause as Error).message}`);

  const lone = await client.start(patron, { id: "only-one" }, { id: "lone" });
  await digs("only-one");
  await client.get("only-one").cancel({ reason: "rain" });
  const bereft = await failure(lone);
  const status = (await lone.status()).status;
  say(`alone     child cancelled, parent ${status}: ${(bereft.cause as Error).message}`);

  thaw.abort();
  const abandoned = await client.handle(gardener, "estate-abandon").result();
  say(`abandoned went on, and dug ${abandoned}`);
  return { result, statuses, tidied, stopped, stranger, bereft, status, abandoned };
}

async function failure(run: RunHandle<string>): Promise<ChildError> {
  const error = await run.result().catch((thrown: unknown) => thrown);
  if (!(error instanceof ChildError)) throw error;
  return error;
}
