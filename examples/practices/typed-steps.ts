/**
 * Typed steps: a step says what goes in and what comes out. The compiler checks how a workflow wires them, the
 * editor completes it, and what comes from outside is checked where it arrives.
 */

import { InvalidInputError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "input and output have types: a wrong wiring does not compile, a wrong value does not start";

const Line = z.object({ what: z.string(), cents: z.int() });

const sum = step("sum", { input: z.array(Line), output: z.object({ cents: z.int() }) });
const print = step("print", { input: z.object({ cents: z.int() }), output: z.object({ text: z.string() }) });

const invoice = workflow(
  "invoice",
  { input: z.object({ lines: z.array(Line) }), output: z.object({ text: z.string() }) },
  async ({ lines }, w) => {
    const { cents } = await w.run(sum, lines); // cents is a number: nobody had to say so
    return w.run(print, { cents });
  },
);

/** Never run: each line under an "expect-error" is one that the compiler refuses. */
export const refused = workflow(
  "refused",
  { input: z.object({ id: z.string() }), output: z.void() },
  async (input, w) => {
    // @ts-expect-error: an id is no list of lines
    await w.run(sum, input.id);
    // @ts-expect-error: cents is a number
    await w.run(print, { cents: "995" });
    // @ts-expect-error: the output has cents and no euros
    const { euros } = await w.run(sum, []);
    return euros;
  },
);

export async function play({ serve, client, say }: Stage) {
  await serve([invoice], (worker) =>
    worker
      .handle(sum, (lines) => ({ cents: lines.reduce((total, line) => total + line.cents, 0) }))
      .handle(print, ({ cents }) => ({ text: `${(cents / 100).toFixed(2)} EUR` })),
  );
  const lines = [
    { what: "tea", cents: 450 },
    { what: "cake", cents: 545 },
  ];
  const run = await client.start(invoice, { lines });
  const { text } = await run.result();
  say(`result   ${text}`);

  // From outside come values that no compiler has seen.
  const fromOutside = JSON.parse('{ "lines": [{ "what": "tea", "cents": "450" }] }');
  const error = await client.start(invoice, fromOutside).catch((thrown: unknown) => thrown);
  if (!(error instanceof InvalidInputError)) throw error;
  say(`refused  ${error.message}`);
  return { text, refused: { code: error.code, path: error.path } };
}
