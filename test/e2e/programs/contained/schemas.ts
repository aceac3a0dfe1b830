/** Schemas that do more than they should: they throw, are async, or start something that fails later. */

import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const later = (ms: number) => new Promise((resolve) => void setTimeout(resolve, ms));
const any = { input: z.any(), output: z.any() };

/** Valid, but a promise that it has started is rejected, and nothing handles that. */
const aside = z.any().refine(() => {
  void Promise.reject(new Error("aside"));
  return true;
});
/** Two refinements that return promises: the second is rejected while the first is waited for. */
const slow = z
  .any()
  .refine(() => later(200).then(() => true))
  .refine(() => Promise.reject(new Error("late")));
const thrower = z.any().transform(() => {
  throw new RangeError("bug in a schema");
});

export const echo = step("echo", any);

export const schemas = {
  aside: workflow("aside", { input: aside, output: aside, signals: { go: aside } }, async (_input, w) => {
    await w.waitFor("go");
    return w.run(step("echo", { ...any, output: aside }), 1);
  }),
  "slow-output": workflow("slow-output", { ...any, output: slow }, async () => 1),
  "slow-step": workflow("slow-step", any, (_input, w) => w.run(step("echo", { ...any, output: slow }), 1)),
  "slow-input": workflow("slow-input", { ...any, input: slow }, async () => 1),
  thrower: workflow("thrower-schema", { ...any, output: thrower }, async () => 1),
};
export const workflows = Object.values(schemas);
