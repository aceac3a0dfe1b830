import type { Duration } from "@stepstream/contracts";
import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream result order-1
  $ stepstream result order-1 --no-wait        exit code 5 if it is not over yet
  $ stepstream result order-1 --json | jq .status`;

export interface Flags {
  wait?: boolean;
  timeout?: Duration;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--no-wait", "do not wait")
    .option("--timeout <duration>", "how long to wait for the end (default: as long as it takes)")
    .option("--json", "print the outcome as JSON, whatever it is")
    .addHelpText("after", EXAMPLES)
    .action(async (run: string, flags: Flags) =>
      (await import("../actions/result.ts")).result(command, io, run, flags),
    );
}
