/** All of them, in the order of the tour. */

import * as all from "./all.ts";
import * as allSettled from "./all-settled.ts";
import * as boundedParallelism from "./bounded-parallelism.ts";
import * as cancellation from "./cancellation.ts";
import * as circuitBreaker from "./circuit-breaker.ts";
import * as cleanUp from "./clean-up.ts";
import * as differentRetries from "./different-retries.ts";
import * as durableActivities from "./durable-activities.ts";
import * as fixAndRetry from "./fix-and-retry.ts";
import * as gates from "./gates.ts";
import * as jobFlows from "./job-flows.ts";
import * as noSharedState from "./no-shared-state.ts";
import * as noSwallowedErrors from "./no-swallowed-errors.ts";
import * as observability from "./observability.ts";
import * as progress from "./progress.ts";
import * as retryWithBackoff from "./retry-with-backoff.ts";
import * as sequential from "./sequential-with-context.ts";
import type { Stage } from "./stage.ts";
import * as structuredErrors from "./structured-errors.ts";
import * as timeOuts from "./time-outs.ts";
import * as typedSteps from "./typed-steps.ts";

/** One idea. Each file of this folder that is one exports these two. */
export interface Practice {
  /** In a line, for the list. */
  readonly about: string;
  /** Shows it, and returns what a test can look at. */
  readonly play: (stage: Stage) => Promise<unknown>;
}

export const PRACTICES: Readonly<Record<string, Practice>> = {
  "typed-steps": typedSteps,
  "sequential-with-context": sequential,
  all,
  "all-settled": allSettled,
  "retry-with-backoff": retryWithBackoff,
  "different-retries": differentRetries,
  cancellation,
  "clean-up": cleanUp,
  progress,
  "bounded-parallelism": boundedParallelism,
  "time-outs": timeOuts,
  "no-shared-state": noSharedState,
  "no-swallowed-errors": noSwallowedErrors,
  "fix-and-retry": fixAndRetry,
  gates,
  "structured-errors": structuredErrors,
  "durable-activities": durableActivities,
  "job-flows": jobFlows,
  "circuit-breaker": circuitBreaker,
  observability,
};
