/**
 * Different retries for different errors: a generator that returned nonsense may do better next time; a folder that is
 * not there will not be there next time either.
 */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fixed, StepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "nonsense from a generator is tried again, a file that cannot be written is not";

const Recipe = z.object({ title: z.string(), minutes: z.int().positive() });

const generate = step("generate", {
  input: z.object({ dish: z.string(), file: z.string() }),
  output: Recipe,
  retry: { maxAttempts: 4, backoff: fixed("10ms"), retryIf: (error) => error instanceof z.ZodError },
});

const cook = workflow(
  "cook-book",
  { input: z.object({ dish: z.string(), file: z.string() }), output: Recipe },
  (input, w) => w.run(generate, input),
);

/** Stands for a model: its first two answers are of no use. */
function answer(dish: string, attempt: number): unknown {
  if (attempt === 1) return `Here is a recipe for ${dish}!`;
  if (attempt === 2) return { title: dish, minutes: -20 };
  return { title: dish, minutes: 20 };
}

export async function play({ serve, client, events, say }: Stage) {
  await serve([cook], (worker) =>
    worker.handle(generate, async ({ dish, file }, ctx) => {
      const recipe = Recipe.parse(answer(dish, ctx.attempt)); // a ZodError: tried again
      await writeFile(file, JSON.stringify(recipe)); // ENOENT: not
      return recipe;
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "stepstream-cook-"));
  try {
    const good = await client.start(cook, { dish: "soup", file: join(folder, "soup.json") });
    await good.result();
    const written = JSON.parse(await readFile(join(folder, "soup.json"), "utf8"));

    const bad = await client.start(cook, { dish: "cake", file: join(folder, "no-such-folder", "cake.json") });
    const error = await bad.result().catch((thrown: unknown) => thrown);
    if (!(error instanceof StepError)) throw error;

    const retries = (run: string) => events.filter((event) => event.type === "retrying" && event.run === run).length;
    say(`nonsense      ${retries(good.id)} retries, then ${JSON.stringify(written)}`);
    say(`cannot write  attempt ${error.attempt} was the last: ${(error.cause as Error).message}`);
    return { written, retries: { good: retries(good.id), bad: retries(bad.id) }, error };
  } finally {
    await rm(folder, { recursive: true });
  }
}
