import type { Duration } from "@stepstream/contracts";
import type { OnConflict } from "@stepstream/sdk";
import { type Command, Option } from "commander";
import type { Io } from "../io.ts";

export interface Flags {
  input?: string;
  id?: string;
  onConflict: OnConflict;
  delay?: Duration;
  timeout?: Duration;
  wait?: boolean;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ stepstream start order --input '{"orderId":"1","cents":995}' --id order-1
  $ stepstream start order --input @order.json --wait
  $ echo '[1,2,3]' | stepstream start sum --input - --wait | jq .
  $ stepstream start report@2 --delay 1h --timeout 2h      default: the highest version that a coordinator runs now

The input is checked by the coordinator; a run whose input does not fit fails with INVALID_INPUT.`;

export function define(command: Command, io: Io): void {
  command
    .option("-i, --input <json>", "its input: JSON, @file, or - for standard input (default: none)")
    .option("--id <id>", "its id, and its idempotency key (default: a random one)")
    .addOption(
      new Option("--on-conflict <how>", "if there is a run with this id")
        .choices(["reject", "attach", "terminate"])
        .default("reject"),
    )
    .option("--delay <duration>", "begin so long after the start, e.g. 10m")
    .option("--timeout <duration>", "fail if it has not ended in this time")
    .option("-w, --wait", "wait for the end and print the output; exit code 1 if it fails")
    .option("--json", "print what was started as JSON; with --wait, the outcome")
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, flags: Flags) =>
      (await import("../actions/start.ts")).start(command, io, name, flags),
    );
}
