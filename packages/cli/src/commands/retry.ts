import type { Command } from "commander";
import type { Io } from "../io.ts";
import { type ManyFlags, withMany } from "../many-options.ts";

const EXAMPLES = `
Examples:
  $ stepstream retry order-1
  $ stepstream retry order-1 --id order-1-second
  $ stepstream retry --workflow order --since 2h --dry-run
  $ stepstream retry --workflow order --since 2h --yes

Starts a run again that failed, was cancelled or was terminated: another run of the same workflow and version, with the same
input, whose id is printed. What the first one did is not undone, and its history stays. The same command again starts
nothing more: the new id is <run>-retry-<sequence of the end>.
Exit code 1 if one of several failed; runs that are not over, have completed, or are children are skipped.`;

export function define(command: Command, io: Io): void {
  command
    .option("--id <id>", "of the new run")
    .option("--timeout <duration>", "how long to wait until it is started (default: 30s)")
    .option("--json", "print what was done as JSON, a line for each run");
  withMany(command, "that failed")
    .addHelpText("after", EXAMPLES)
    .action(async (runs: string[], flags: ManyFlags & { id?: string }) =>
      (await import("../actions/steer.ts")).retry(command, io, runs, flags),
    );
}
