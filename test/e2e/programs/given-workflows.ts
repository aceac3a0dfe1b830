import { workflow } from "@stepstream/sdk";
import { z } from "zod";

const any = { input: z.any(), output: z.any() };
export const loops = workflow("loops", any, async () => {
  for (;;);
});
export const other = workflow("other", any, async (_input, w) => {
  await w.sleep("300ms");
  return "well";
});
