import { RetryPolicy, TimeoutPolicy } from "@stepstream/contracts";
import { z } from "zod";
import type { Step } from "../step.ts";
import { defineWorkflow } from "../workflow.ts";

/** What a job without a workflow is: a step by its name, with what its definition says of it. */
export const StepJob = z.object({
  step: z.string(),
  input: z.unknown().optional(),
  retry: RetryPolicy,
  timeout: TimeoutPolicy,
  heartbeatMs: z.number().optional(),
});
export type StepJob = z.input<typeof StepJob>;

const json = z.unknown().optional();

/** Runs one step, and gives its output. Input and output are checked by whoever has the step's definition. */
export const runStep = defineWorkflow("_step", { input: StepJob, output: json }, async (job, w) => {
  const { step: name, retry, timeout, heartbeatMs } = job;
  // What only workers look at is in the definition that they have.
  const step: Step = {
    kind: "step",
    name,
    input: json,
    output: json,
    errors: {},
    retry,
    retryIf: undefined,
    timeout,
    heartbeatMs,
    concurrency: 1,
    breaker: undefined,
  };
  return w.run(step, job.input);
});
