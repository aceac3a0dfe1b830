/** Progress: a run says "step k of n, this one"; any number of people follow it live, on a terminal or in a page. */

import { type Progress, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import { bar } from "../demo/show.ts";
import type { Stage } from "./stage.ts";

export const about = "step k of n, its name, per cent; live, for a bar in a terminal and one in a page";

const Bread = z.object({ flour: z.int() });
const knead = step("knead", { input: Bread, output: z.void() });
const rest = step("rest", { input: Bread, output: z.void() });
const bake = step("bake", { input: Bread, output: z.void() });

const bread = workflow("bread", { input: Bread, output: z.void() }, async (input, w) => {
  const steps = [knead, rest, bake];
  for (const [done, one] of steps.entries()) {
    w.progress({ step: done, total: steps.length, name: one.name });
    await w.run(one, input);
  }
  w.progress({ step: steps.length, total: steps.length, name: "done" });
});

/** For a page: what an HTML element of the browser's own needs. */
export function html({ step, total, name, percent }: Progress): string {
  return `<label>${name} <progress value="${step}" max="${total}">${percent} %</progress></label>`;
}

export async function play({ serve, client, say }: Stage) {
  // A step is done when somebody has seen that it began: so that there is something to see of each.
  const shown = new Map([knead, rest, bake].map(({ name }) => [name, Promise.withResolvers<void>()]));
  await serve([bread], (worker) =>
    worker
      .handle(knead, () => shown.get("knead")!.promise)
      .handle(rest, () => shown.get("rest")!.promise)
      .handle(bake, () => shown.get("bake")!.promise),
  );
  const run = await client.start(bread, { flour: 500 });
  const seen: Progress[] = [];
  for await (const progress of run.progress()) {
    seen.push(progress);
    say(bar(progress));
    shown.get(progress.name)?.resolve();
  }
  say(html(seen[1]!));
  await run.result();
  return { seen, bars: seen.map(bar), pages: seen.map(html) };
}
