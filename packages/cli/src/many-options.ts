import type { RunState } from "@stepstream/sdk";
import { type Command, Option } from "commander";
import { STATES } from "./states.ts";

/** Which runs a command is for. */
export interface FilterFlags {
  workflow?: string;
  status?: RunState[];
  since?: string;
  until?: string;
  parent?: string;
  builtin?: boolean;
}

/** The same, and how it goes about them, where it is for more than one. */
export interface ManyFlags extends FilterFlags {
  all?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  rate: string;
  json?: boolean;
  timeout?: string;
}

/** The filters of `ls`, and what there is to say about doing something to many runs. @param whose - "that are not over" */
export function withMany(command: Command, whose: string): Command {
  return command
    .option("--workflow <name>", "all of this workflow (name, or name@version)")
    .addOption(new Option("--status <state...>", `all in this state (default: those ${whose})`).choices(STATES))
    .option("--since <time>", "all that were started later than: 2h, 1d, or 2026-11-23T02:00:00Z")
    .option("--until <time>", "all that were started earlier than")
    .option("--parent <run>", "all children of this run")
    .option("--builtin", "also schedules and single steps")
    .option("--all", `all ${whose}`)
    .option("--dry-run", "only print which runs that would be")
    .option("-y, --yes", "do not ask")
    .option("--rate <n>", "at most so many runs in a second", "500");
}
