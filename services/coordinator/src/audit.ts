/** What a run waits for, compared with what is stored: for the auditor, and for tools that look from outside. */

export { type ChildState, describeNeed, missing, NOTHING, type StoredOfRun } from "./audit/compare.ts";
export { type Need, needsOf, type Recorded } from "./audit/needs.ts";
export { historyOf } from "./shell/live-runs.ts";
export { listStored, type Stored } from "./shell/stored.ts";
export { StrandedCommands } from "./shell/stranded.ts";
