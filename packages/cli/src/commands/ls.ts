import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import type { FilterFlags } from "../many-options.ts";
import { STATES } from "../states.ts";

const EXAMPLES = `
Examples:
  $ stepstream ls
  $ stepstream ls --status failed --status parked --since 1d
  $ stepstream ls --workflow order@2 --limit 1000 --json | jq -r .run
  $ stepstream ls --parent order-1

Runs are looked up in a file in your cache folder, which is brought up to date with the bus first; it can be deleted, or
built anew with --rebuild, at any time.`;

export interface Flags extends FilterFlags {
  limit: string;
  count?: boolean;
  json?: boolean;
  rebuild?: boolean;
  stale?: boolean;
}

export function define(command: Command, io: Io): void {
  command
    .option("--workflow <name>", "only of this workflow (name, or name@version)")
    .addOption(new Option("--status <state...>", "only in this state").choices(STATES))
    .option("--since <time>", "started later than: 2h, 1d, or 2026-11-23T02:00:00Z")
    .option("--until <time>", "started earlier than")
    .option("--parent <run>", "only children of this run")
    .option("--builtin", "also schedules and single steps")
    .option("--limit <n>", "at most so many", "50")
    .option("--count", "only how many there are of each state")
    .option("--json", "as JSON, a line each")
    .option("--rebuild", "build the file anew")
    .option("--stale", "as the file is, without reading what is new on the bus")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => (await import("../actions/ls.ts")).ls(command, io, flags));
}
