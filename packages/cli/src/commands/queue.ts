import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream queue
  $ stepstream queue --watch
  $ stepstream queue --json | jq 'select(.waiting > 100)'

WAITING: no worker has taken them. BETWEEN ATTEMPTS: taken, failed, and waiting for their next attempt (or just handed
over). OLDEST: the age of the oldest command that is not done. PLACES: attempts that the workers can make at a time.`;

export interface Flags {
  watch?: boolean;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--watch", "again every second, until Ctrl-C; in a pipe one below the other")
    .option("--json", "as JSON, a line for each step")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => (await import("../actions/queue.ts")).queue(command, io, flags));
}
