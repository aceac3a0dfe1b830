import { scheduleWorkflow } from "../schedule/workflow.ts";
import type { AnyWorkflow } from "../workflow.ts";
import { runStep } from "./run-step.ts";

export { runStep };

/** Workflows that every coordinator runs. */
export const builtinWorkflows: readonly AnyWorkflow[] = [runStep, scheduleWorkflow];
