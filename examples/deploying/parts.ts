import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** What the programs of this folder run. */
export const greet = step("greet", { input: z.object({ name: z.string() }), output: z.string() });
export const hello = workflow("hello", { input: z.object({ name: z.string() }), output: z.string() }, (input, w) =>
  w.run(greet, input),
);

export const nats = (process.env.NATS_URL ?? "nats://127.0.0.1:4222").split(",");
export const namespace = process.env.STEPSTREAM_NAMESPACE ?? "default";
