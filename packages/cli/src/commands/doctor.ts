import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream doctor
  $ stepstream doctor --monitor http://127.0.0.1:8222     also how often the server syncs to disk
  $ stepstream doctor --json | jq 'select(.level != "ok")'

Exit code 1 if something is wrong; warnings alone are 0. Nothing is changed.`;

export interface Flags {
  monitor?: string;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--monitor <url>", "the server's monitoring port")
    .option("--json", "as JSON, a line for each finding")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => (await import("../actions/doctor.ts")).doctor(command, io, flags));
}
