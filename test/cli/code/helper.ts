import { step, type WorkflowContext } from "@stepstream/sdk";
import { z } from "zod";

export const work = step("work", { input: z.number(), output: z.number() });

export async function inAnotherFile(w: WorkflowContext, numbers: number[]): Promise<number> {
  let sum = 0;
  for (const number of numbers) sum += number;
  return await w.run(work, sum); // the helper
}
