/**
 * Structured errors: classes with codes, ids and context. They stay what they are on their way from a worker, through
 * the history, to whoever waits for the run; programs branch on them, and people read them.
 */

import {
  type GateSpec,
  isStepError,
  runGates,
  StepstreamError,
  step,
  ValidationError,
  workflow,
} from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "step, validation and execution errors with ids and context, across processes";

const charge = step("charge", {
  input: z.object({ account: z.string(), cents: z.int() }),
  output: z.void(),
  // The errors that callers may count on: typed, and never retried.
  errors: { CardDeclined: z.object({ account: z.string(), limit: z.int() }) },
});

const GATES: GateSpec[] = [
  { name: "stock", level: 1, command: `"${process.execPath}" -e "console.error('2 missing'); process.exit(3)"` },
];

const purchase = workflow(
  "purchase",
  { input: z.object({ wrong: z.enum(["step", "validation", "execution"]) }), output: z.void() },
  async ({ wrong }, w) => {
    if (wrong === "step") await w.run(charge, { account: "a-1", cents: 99_900 });
    if (wrong === "validation") await runGates(w, GATES);
    if (wrong === "execution") throw new RangeError("a basket has at most 99 items");
  },
);

export async function play({ serve, client, say }: Stage) {
  await serve([purchase], (worker) =>
    worker.gates().handle(charge, ({ account, cents }, ctx) => {
      if (cents > 50_000) ctx.fail("CardDeclined", { account, limit: 50_000 });
    }),
  );
  const failureOf = async (wrong: "step" | "validation" | "execution") => {
    const run = await client.start(purchase, { wrong });
    const error = await run.result().catch((thrown: unknown) => thrown);
    if (!(error instanceof StepstreamError)) throw error;
    say(`${error.name} ${error.code} ${JSON.stringify(error.detail)}`);
    say(`  ${whatToDo(error)}`);
    return { run: run.id, error };
  };
  return {
    step: await failureOf("step"),
    validation: await failureOf("validation"),
    execution: await failureOf("execution"),
  };
}

/** What a program makes of them. */
export function whatToDo(error: unknown): string {
  if (isStepError(error, charge, "CardDeclined"))
    return `ask for another card than that of ${error.cause.data.account}: its limit is ${error.cause.data.limit}`;
  if (error instanceof ValidationError) return `gate "${error.gate}", level ${error.level}: ${error.stderr.trim()}`;
  if (error instanceof Error) return `a bug, to be reported: ${error.cause ?? error}`;
  return "no error";
}
