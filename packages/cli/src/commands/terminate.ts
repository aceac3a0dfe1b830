import type { Command } from "commander";
import type { Io } from "../io.ts";
import { type ManyFlags, withMany } from "../many-options.ts";

const EXAMPLES = `
Examples:
  $ stepstream terminate order-1 --reason "stuck since the migration"
  $ stepstream terminate order-1 order-2 order-3
  $ stepstream terminate --status parked --workflow order@1 --yes

Nothing is cleaned up and no compensation runs. Prefer: stepstream cancel.
Exit code 1 if one of several failed; runs that are over are skipped.`;

export function define(command: Command, io: Io): void {
  command
    .option("--reason <text>", "for people; it stands in the history")
    .option("--timeout <duration>", "how long to wait for the answer; the message stands (default: 30s)")
    .option("--json", "print what was done as JSON, a line for each run");
  withMany(command, "that are not over")
    .addHelpText("after", EXAMPLES)
    .action(async (runs: string[], flags: ManyFlags & { reason?: string }) =>
      (await import("../actions/steer.ts")).terminate(command, io, runs, flags),
    );
}
