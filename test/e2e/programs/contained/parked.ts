/** Workflows that come to be parked, alone and as children. */

import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const any = { input: z.any(), output: z.any() };

export const sent = step("sent", any);

/** Set for the second half of a test: the schemas were others when the runs began. */
const FAULTY = process.env.STEPSTREAM_TEST_SCHEMA === "faulty";

const turning = z.any().transform((value) => {
  if (FAULTY) throw new RangeError("bug in a schema");
  return value;
});
const later = z.any().refine(() => (FAULTY ? Promise.resolve(true) : true));

const takesAStep = (name: string, output: z.ZodType) =>
  workflow(name, any, async (_input, w) => {
    await w.run(step("sent", { ...any, output }), 1);
    await w.run(sent, 2);
    return w.sleep("10m");
  });

/** Began while their schemas were valid; replayed with those that throw or are async, they decide something else. */
export const throwing = takesAStep("schema-throws", turning);
export const async = takesAStep("schema-async", later);

/** Waits for something that no history has. */
export const stalled = workflow("stalled-child", any, () => new Promise(() => {}));

/** Waits for a child that is parked, and says what it is told. */
export const parent = workflow("parent-of-parked", any, async ({ policy }, w) => {
  const child = w.child(stalled, undefined, { id: `${w.runId}-child`, onParentClose: policy });
  try {
    return await child;
  } catch (error: any) {
    return `${error.code}, because ${error.cause?.code}: ${error.cause?.message}`;
  }
});
