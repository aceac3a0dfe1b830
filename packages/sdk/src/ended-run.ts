/** What coordinators need of runs that are over. */
export { type Deleted, deleteRun } from "./delete-run.ts";
export { readHistory } from "./run-history.ts";
export { endOf, upToOf } from "./run-status.ts";
