import type { Command } from "commander";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream doctor
  $ stepstream doctor --monitor http://nats-1:8222 http://nats-2:8222 http://nats-3:8222
                                                          also their health and how often they sync to disk
  $ stepstream doctor --accept durability                 one replica may be what you want
  $ stepstream doctor --role worker --steps charge --user worker
                                                          whether that user may do what a worker does, and no more
  $ stepstream doctor --json | jq 'select(.level == "error")'

Exit code 1 if something is wrong; advice alone ("!") and what is accepted are 0. It stores one message in each stream and
removes it, if its user may. With --role only permissions are examined: those that the role needs and the user lacks, and those
that the user has and the role does not need. Without it they are those of an operator, or of all roles if one user is for all.`;

export interface Flags {
  monitor?: string[];
  accept?: string[];
  role?: string;
  steps?: string[];
  maxWait: string;
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--monitor <url...>", "the monitoring port of each server")
    .option("--accept <check...>", "what may be wrong: the name of a check, in --json its `check`")
    .option("--role <name>", "whether the user may do what a client, worker, coordinator, viewer or operator does")
    .option("--steps <step...>", "with --role worker: its steps (default: all)")
    .option("--max-wait <duration>", "how long a command may wait for a worker", "5m")
    .option("--json", "as JSON, a line for each finding")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => (await import("../actions/doctor.ts")).doctor(command, io, flags));
}
