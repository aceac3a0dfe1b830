/**
 * Sequential, with context: steps run one after the other. A failure says which step it was, with which input, in
 * which attempt, and keeps the handler's own error as its cause.
 */

import { fixed, StepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "steps in order; a failure names its step, input and attempt, and keeps its cause";

const Page = z.object({ url: z.string(), text: z.string() });

const download = step("download", { input: z.object({ url: z.string() }), output: Page });
const parse = step("parse", {
  input: Page,
  output: z.object({ title: z.string() }),
  retry: { maxAttempts: 2, backoff: fixed("10ms") },
});
const store = step("store", { input: z.object({ title: z.string() }), output: z.void() });

const archive = workflow(
  "archive",
  { input: z.object({ url: z.string() }), output: z.object({ title: z.string() }) },
  async ({ url }, w) => {
    const page = await w.run(download, { url });
    const { title } = await w.run(parse, page);
    await w.run(store, { title });
    return { title };
  },
);

/** Any class of error will do; what it carries travels with it. */
class UnreadablePage extends Error {
  override readonly name = "UnreadablePage";
  readonly code = "UNREADABLE_PAGE";
  readonly offset: number;
  constructor(offset: number) {
    super(`There is no title in the page from ${offset} on.`);
    this.offset = offset;
  }
}

export async function play({ serve, client, events, until, say }: Stage) {
  await serve([archive], (worker) =>
    worker
      .handle(download, ({ url }) => ({ url, text: url.endsWith("/empty") ? "<p>" : "<title>Tea</title>" }))
      .handle(parse, ({ text }) => {
        const title = /<title>(.*)<\/title>/.exec(text)?.[1];
        if (title === undefined) throw new UnreadablePage(text.length);
        return { title };
      })
      .handle(store, () => {}),
  );
  const good = await client.start(archive, { url: "https://example.org/tea" });
  await good.result();
  // The run may know of it before the worker has heard that its report is stored.
  await until((event) => event.type === "completed" && event.step === "store");
  const order = events.flatMap((event) => (event.type === "completed" ? [event.step] : []));
  say(`in order   ${order.join(", ")}`);

  const bad = await client.start(archive, { url: "https://example.org/empty" });
  const error = await bad.result().catch((thrown: unknown) => thrown);
  if (!(error instanceof StepError)) throw error;
  const { step: failed, input, attempt, cause } = error;
  say(`failed     ${error.message}`);
  say(`  step     ${failed}, attempt ${attempt}`);
  say(`  input    ${JSON.stringify(input)}`);
  say(`  cause    ${cause}`);
  return { order, run: bad.id, error };
}
