// Run by Node itself, so that lines are those of this file: see environment.test.ts. Prints what the environment warns of.
import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import { createTestEnvironment } from "../src/index.ts";

const any = { input: z.any(), output: z.any() };
const charge = step("charge", any);
const order = workflow("order", any, async (_input, w) => {
  void helper(() => w.run(charge, 1));
  return 1;
});
function helper(ask: () => Promise<unknown>) {
  return ask();
}

await using env = await createTestEnvironment({ workflows: [order] });
const run = await env.start(order, undefined, { id: "o1" });
process.stdout.write(JSON.stringify({ result: await run.result(), warnings: env.warnings }));
