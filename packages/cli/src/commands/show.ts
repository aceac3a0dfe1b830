import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream show order-1
  $ stepstream show order-1 --full           inputs and outputs whole
  $ stepstream show order-1 --json | jq .waits`;

export interface Flags {
  full?: boolean;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--full", "inputs, outputs and errors whole")
    .option("--json", "as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (run: string, flags: Flags) => (await import("../actions/show.ts")).show(command, io, run, flags));
}
