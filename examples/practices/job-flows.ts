/**
 * Job flows: a workflow starts others and waits for them, to any depth. Each is a run of its own, with its own history; a
 * failure comes up through all parents with its context, and a cancel goes down to all children.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { ChildError, step, type Workflow, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "parents wait for children, to any depth; failures come up, cancels go down";

const Part = z.object({
  name: z.string(),
  get parts() {
    return z.array(Part);
  },
});
type Part = z.infer<typeof Part>;
const Built = z.object({ name: z.string(), parts: z.int() });

const assemble = step("assemble", {
  input: z.object({ name: z.string() }),
  output: z.void(),
  errors: { DoesNotFit: z.object({ name: z.string() }) },
});

/** Builds what it is made of, two at a time, and then itself. The type is for the compiler: it calls itself. */
const build: Workflow<typeof Part, typeof Built> = workflow(
  "build",
  { input: Part, output: Built },
  async ({ name, parts }, w) => {
    const built = await w.map(parts, (part) => w.child(build, part, { id: `${w.runId}-${part.name}` }), {
      concurrency: 2,
    });
    await w.run(assemble, { name });
    return { name, parts: built.reduce((sum, part) => sum + part.parts, 1) };
  },
);

const part = (name: string, ...parts: Part[]): Part => ({ name, parts });

export async function play({ serve, client, until, say }: Stage) {
  const order: string[] = [];
  let [now, most] = [0, 0];
  await serve([build], (worker) =>
    worker.handle(assemble, async ({ name }, ctx) => {
      most = Math.max(most, ++now);
      try {
        if (name === "warped-rim") ctx.fail("DoesNotFit", { name });
        await sleep(name === "rusty-bell" ? 60_000 : 10, undefined, { signal: ctx.signal });
        order.push(name);
      } finally {
        now--;
      }
    }),
  );
  const wheel = (name: string) => part(name, part(`${name}-rim`), part(`${name}-hub`), part(`${name}-tyre`));
  const bike = await client.start(build, part("bike", part("frame"), wheel("front"), wheel("back")), { id: "bike" });
  const built = await bike.result();
  say(`built     ${built.parts} parts, at most ${most} at a time: ${order.join(", ")}`);
  const grandchild = await client.get("bike-front-front-rim").status();
  say(`each is a run of its own: ${grandchild.id}, ${grandchild.status}`);

  const bad = await client.start(build, part("bad", part("wheel", part("warped-rim"))), { id: "bad" });
  const error = await bad.result().catch((thrown: unknown) => thrown);
  const chain: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause)
    chain.push(at instanceof ChildError ? `child ${at.child}` : at.name);
  say(`failed    ${chain.join(" ← ")}`);

  const dear = await client.start(build, part("dear", part("bars", part("rusty-bell"))), { id: "dear" });
  await until((event) => event.type === "attempt" && event.run === "dear-bars-rusty-bell");
  await dear.cancel({ reason: "too dear" });
  await dear.result().catch(() => {});
  const family = ["dear", "dear-bars", "dear-bars-rusty-bell"];
  const statuses = await Promise.all(family.map(async (id) => (await client.get(id).status()).status));
  say(`cancelled ${family.map((id, i) => `${id}: ${statuses[i]}`).join(", ")}`);
  return { built, order, most, grandchild, error, chain, statuses };
}
