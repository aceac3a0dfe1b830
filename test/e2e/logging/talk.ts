/** A workflow whose step has something to say. */

import { fixed, nothing, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** Fails at the first attempt. */
export const say = step("say", { input: z.string(), output: z.string(), retry: { backoff: fixed("50ms") } });

export const talk = workflow("talk", { input: z.string(), output: z.string() }, (what, w) => w.run(say, what));

/** Not for the coordinator of the tests, which takes what `known.ts` exports. */
export const unknown = workflow("unknown", { input: nothing, output: z.string() }, (_, w) => w.run(say, ""));
