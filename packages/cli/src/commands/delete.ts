import type { Command } from "commander";
import type { Io } from "../io.ts";
import { type ManyFlags, withMany } from "../many-options.ts";

const EXAMPLES = `
Examples:
  $ stepstream delete order-1
  $ stepstream delete order-1 order-2 order-3
  $ stepstream delete --status completed --until 30d --dry-run
  $ stepstream delete --status completed --until 30d --yes

Its id is free then: nothing tells that it ever was, and a start with it is another run. To have ended runs deleted by
themselves: stepstream namespace update --retain 30d.
Exit code 1 if one of several failed; runs that are not over are skipped.`;

export function define(command: Command, io: Io): void {
  command
    .option("--timeout <duration>", "how long to wait until it is deleted (default: 30s)")
    .option("--json", "print what was done as JSON, a line for each run");
  withMany(command, "that are over")
    .addHelpText("after", EXAMPLES)
    .action(async (runs: string[], flags: ManyFlags) =>
      (await import("../actions/steer.ts")).remove(command, io, runs, flags),
    );
}
