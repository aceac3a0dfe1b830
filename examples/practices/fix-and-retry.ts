/**
 * Fix and retry: check; while that fails and tries are left, wait (longer each time), fix, check again. The loop is
 * durable, and its result says what happened. A whole project repaired like this: ../fix-and-retry.
 */

import { exponential, isStepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "validate; while it fails: wait, fix, validate again; say what happened";

const Typo = z.object({ wrong: z.string(), right: z.string() });

const proofread = step("proofread", {
  input: z.object({ text: z.string() }),
  output: z.void(),
  errors: { Typo },
});
const correct = step("correct", { input: z.object({ text: z.string(), typo: Typo }), output: z.string() });

const edit = workflow(
  "edit",
  {
    input: z.object({ text: z.string(), tries: z.int() }),
    output: z.object({ text: z.string(), fixes: z.array(Typo) }),
  },
  async ({ text, tries }, w) => {
    const fixes: z.infer<typeof Typo>[] = [];
    let draft = text;
    await w.repeatUntil(
      () => w.run(proofread, { text: draft }),
      async (failure) => {
        const typo = typoIn(failure);
        draft = await w.run(correct, { text: draft, typo });
        fixes.push(typo);
      },
      { maxAttempts: tries, backoff: exponential({ initial: "50ms", factor: 2, max: "1s", jitter: "none" }) },
    );
    return { text: draft, fixes };
  },
);

/** The typo that was found. Any other failure is no case for a correction. */
function typoIn(failure: unknown): z.infer<typeof Typo> {
  if (isStepError(failure, proofread, "Typo")) return failure.cause.data;
  throw failure;
}

const KNOWN = [
  { wrong: "teh", right: "the" },
  { wrong: "recieve", right: "receive" },
];

export async function play({ serve, client, say }: Stage) {
  await serve([edit], (worker) =>
    worker
      .handle(proofread, ({ text }, ctx) => {
        const typo = KNOWN.find(({ wrong }) => text.includes(wrong));
        if (typo) ctx.fail("Typo", typo);
      })
      .handle(correct, ({ text, typo }) => text.replace(typo.wrong, typo.right)),
  );
  const text = "We recieve teh parcel.";
  const run = await client.start(edit, { text, tries: 4 });
  const result = await run.result();
  const waits = (await run.history()).flatMap((entry) =>
    entry.kind === "journal"
      ? entry.message.events.flatMap((event) => (event.type === "TimerStarted" ? [event.fireAt - entry.at] : []))
      : [],
  );
  for (const { wrong, right } of result.fixes) say(`fixed    ${wrong} → ${right}`);
  say(`passes   ${result.text}`);

  const hopeless = await client.start(edit, { text, tries: 2 });
  const error = await hopeless.result().catch((thrown: unknown) => thrown);
  say(`gave up  ${(error as Error).message}`);
  return { ...result, waits, error };
}
