import type { WorkflowContext } from "@stepstream/sdk";
import { work } from "./places.ts";

export async function inAnotherFile(w: WorkflowContext, numbers: number[]): Promise<number> {
  let sum = 0;
  for (const number of numbers) sum += number;
  return await w.run(work, sum); // the helper
}
