import type { RunState } from "@stepstream/sdk";
import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import { STATES } from "../states.ts";

const EXAMPLES = `
Examples:
  $ stepstream replay order-1 --workflows ./src/workflows.ts           does the code fit, and what does it wait for?
  $ stepstream replay order-1 --workflows ./src/workflows.ts --step    message by message, with the lines of code
  $ stepstream replay order-1 --workflows ./src/workflows.ts --until slot:3
  $ stepstream replay order-1 --workflows ./src/workflows.ts --inspect
  $ stepstream replay --file order-1.json --workflows ./src/workflows.ts
  $ stepstream replay --all --workflows ./dist/workflows.js            before a deploy: all that are not over
  $ stepstream replay --all --since 7d --workflows ./dist/workflows.js     and those of the last week that are

Nothing is written to the bus, and no step is run. Exit code 1 if the code does not fit, 3 if there was nothing to check.
--until takes a sequence (18), a type of message or event (StepFailed), or a slot (slot:3).
--inspect: open chrome://inspect, or attach your editor to port 9229; set breakpoints in the workflow; continue.`;

export interface Flags {
  workflows: string[];
  file?: string[];
  until?: string;
  step?: boolean;
  inspect?: boolean | string;
  all?: boolean;
  since?: string;
  workflow?: string;
  status?: RunState[];
  json?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .requiredOption("-m, --workflows <module...>", "modules that export workflows")
    .option("--file <file...>", "a history from a file instead (stepstream history --export)")
    .option("--until <event>", "stop there")
    .option("--step", "message by message; on a terminal Enter goes on")
    .option("--inspect [host:port]", "in a debugger: node --inspect-brk")
    .option("--all", "many runs: those that are not over, or what the options below say")
    .option("--since <time>", "started later than, whatever their state: 7d, or 2026-11-23")
    .option("--workflow <name>", "only of this workflow")
    .addOption(new Option("--status <state...>", "only in this state").choices(STATES))
    .option("--json", "as JSON, a line for each run")
    .addHelpText("after", EXAMPLES)
    .action(async (run: string | undefined, flags: Flags) =>
      (await import("../actions/replay.ts")).replay(command, io, run, flags),
    );
}
