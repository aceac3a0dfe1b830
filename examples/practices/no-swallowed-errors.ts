/**
 * No swallowed errors: a failure that nobody handles ends the run as failed, with its context, wherever in the workflow
 * it happened: in a step that nobody waited for, in a helper, in plain code.
 */

import { type StepError, step, WorkflowFailedError, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "a failure nobody handles ends the run as failed, with its context";

const audit = step("audit", {
  input: z.object({ order: z.string() }),
  output: z.void(),
  errors: { LedgerClosed: z.object({ order: z.string() }) },
});
const ship = step("ship", { input: z.object({ order: z.string() }), output: z.void() });

const How = z.object({ order: z.string(), how: z.enum(["forgotten", "thrown", "handled"]) });

const order = workflow("careless-order", { input: How, output: z.string() }, async ({ order, how }, w) => {
  switch (how) {
    case "forgotten": {
      // Nothing ever awaits this step (without `void` a lint rule would say so). If it fails, the run fails when it returns.
      void w.run(audit, { order });
      await w.run(ship, { order });
      await w.sleep("300ms");
      return "shipped";
    }
    case "thrown": {
      const parts = order.split("-");
      return parts[7]!.toUpperCase();
    }
    case "handled": {
      // Handling one is a decision, and looks like one.
      const why = await w.run(audit, { order }).then(
        () => "audited",
        (error: StepError) => `not audited: ${(error.cause as Error).message}`,
      );
      await w.run(ship, { order });
      return why;
    }
  }
});

export async function play({ serve, client, say }: Stage) {
  await serve([order], (worker) =>
    worker.handle(audit, ({ order }, ctx) => ctx.fail("LedgerClosed", { order })).handle(ship, () => {}),
  );
  const outcome = async (how: z.infer<typeof How>["how"]) => {
    const run = await client.start(order, { order: "o-1", how });
    const result = await run.result().catch((thrown: unknown) => thrown);
    const { status } = await run.status();
    say(`${how.padEnd(10)} ${status}: ${result instanceof Error ? result.message : result}`);
    if (result instanceof WorkflowFailedError) say(`           its cause: ${result.cause}`);
    return { run: run.id, status, result };
  };
  const forgotten = await outcome("forgotten");
  const thrown = await outcome("thrown");
  const handled = await outcome("handled");
  return { forgotten, thrown, handled };
}
