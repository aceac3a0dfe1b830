import type { Command } from "commander";
import { examplesOf } from "../examples.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream dead ls
  $ stepstream dead ls --step charge --since 1d --json
  $ stepstream dead show 17
  $ stepstream dead retry 17

A dead letter is a message that nobody could handle, kept as it was. What came of it is in the history of its run
(stepstream history <run>); a step that fails for good is no dead letter, but a StepFailed there.

"retry" is stepstream retry for the run of a dead letter: it is started again, with its workflow and input, under another
id. After a repair of what ended its process (WORKER_LOST), say. A second retry finds the run of the first.`;

export interface Flags {
  step?: string;
  run?: string;
  since?: string;
  limit: string;
  json?: boolean;
}

export function define(dead: Command, io: Io): void {
  dead.addHelpText("after", EXAMPLES);
  dead
    .command("ls")
    .description("dead letters, newest first")
    .option("--step <name>", "only of this step")
    .option("--run <id>", "only of this run")
    .option("--since <time>", "only later ones: 2h, 1d, or 2026-11-23T02:00:00Z")
    .option("--limit <n>", "at most so many", "100")
    .option("--json", "as JSON, a line each")
    .addHelpText("after", examplesOf(EXAMPLES, "dead ls"))
    .action(async (flags: Flags, command: Command) => (await import("../actions/dead.ts")).deadLs(command, io, flags));
  dead
    .command("retry <seq...>")
    .description("start their runs again, with the same input")
    .option("--json", "print what was started as JSON, a line each")
    .addHelpText("after", examplesOf(EXAMPLES, "dead retry"))
    .action(async (seqs: string[], flags: { json?: boolean }, command: Command) =>
      (await import("../actions/retry-dead.ts")).deadRetry(command, io, seqs, flags),
    );
  dead
    .command("show <seq>")
    .description("one, whole")
    .option("--json", "as JSON")
    .addHelpText("after", examplesOf(EXAMPLES, "dead show"))
    .action(async (seq: string, flags: { json?: boolean }, command: Command) =>
      (await import("../actions/dead.ts")).deadShow(command, io, seq, flags),
    );
}
