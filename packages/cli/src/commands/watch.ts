import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream watch order-1
  $ stepstream start order --input @order.json | xargs stepstream watch

Ends with the run: exit code 0 if it completed, 1 if not. Ctrl-C stops watching, not the run.`;

export function define(command: Command, io: Io): void {
  command
    .option("--json", "each message that is stored, as JSON, a line each")
    .addHelpText("after", EXAMPLES)
    .action(async (run: string) => (await import("../actions/watch.ts")).watch(command, io, run));
}
