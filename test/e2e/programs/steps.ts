/** Steps that the tests of the worker run in processes of their own. */

import { fixed, step } from "@stepstream/sdk";
import { z } from "zod";

const numbers = { input: z.number(), output: z.number() };

/** Counts to its input, and says so. */
export const count = step("count", { ...numbers, heartbeat: "1s", retry: { backoff: fixed("50ms") } });
/** Takes as many milliseconds as its input says. */
export const take = step("take", { ...numbers, concurrency: 3 });
/** What some attempts do to their process, after so many milliseconds. */
export const fatal = step("fatal", {
  input: z.object({ ms: z.number(), end: z.enum(["SIGKILL", "exit", "memory", "none"]) }),
  output: z.number(),
  heartbeat: "500ms",
  concurrency: 5,
});
/** Computes for so many milliseconds. */
export const computes = step("computes", {
  input: z.object({ ms: z.number(), fails: z.boolean().default(false) }),
  output: z.number(),
  retry: { backoff: fixed("50ms") },
  timeout: { attempt: "8s" },
  concurrency: 2,
});
/** Waits for so many milliseconds. */
export const waits = step("waits", { ...numbers, timeout: { attempt: "1m" }, concurrency: 5 });
