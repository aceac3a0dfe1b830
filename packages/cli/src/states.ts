import type { RunState } from "@stepstream/sdk";

/** In the order in which they are counted. */
export const STATES: readonly RunState[] = ["running", "parked", "completed", "failed", "cancelled", "terminated"];
