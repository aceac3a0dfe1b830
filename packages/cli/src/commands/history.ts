import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream history order-1
  $ stepstream history order-1 --slot 3
  $ stepstream history order-1 --follow
  $ stepstream history order-1 --json | jq 'select(.kind == "attempt") | .message.error.message'
  $ stepstream history order-1 --export order-1.json      for stepstream replay --file, and for tests`;

export interface Flags {
  slot?: string;
  follow?: boolean;
  json?: boolean;
  export?: string;
}

export function define(command: Command, io: Io): void {
  command
    .option("--slot <n>", "only of this slot")
    .option("-f, --follow", "go on with what comes, until the run is over")
    .option("--json", "as JSON, a line for each message")
    .option("--export <file>", "write it to a file (-: standard output), to be replayed")
    .addHelpText("after", EXAMPLES)
    .action(async (run: string, flags: Flags) =>
      (await import("../actions/history.ts")).history(command, io, run, flags),
    );
}
