import type { Command } from "commander";
import type { CancelFlags } from "../actions/steer.ts";
import type { Io } from "../io.ts";
import { withMany } from "../many-options.ts";

const EXAMPLES = `
Examples:
  $ stepstream cancel order-1 --reason "customer changed their mind"
  $ stepstream cancel order-1 --cleanup-deadline 5m --wait
  $ stepstream cancel order-1 order-2 order-3
  $ stepstream cancel --workflow order@2 --since 2h --dry-run
  $ stepstream cancel --workflow order@2 --since 2h --yes --rate 50

Attempts are told to stop, then compensations run. To end a run without any of it: stepstream terminate.
Exit code 1 if one of several failed; runs that are over are skipped.`;

export function define(command: Command, io: Io): void {
  command
    .option("--reason <text>", "for people; it stands in the history")
    .option("--grace <duration>", "how long attempts have to stop (default: 10s)")
    .option("--cleanup-deadline <duration>", "how long all clean-up may take; then it is terminated")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("-w, --wait", "wait until it is over; exit code 1 if it did not end cancelled")
    .option("--json", "print what was done as JSON, a line for each run");
  withMany(command, "that are not over")
    .addHelpText("after", EXAMPLES)
    .action(async (runs: string[], flags: CancelFlags) =>
      (await import("../actions/steer.ts")).cancel(command, io, runs, flags),
    );
}
