import { readFileSync } from "node:fs";
import { CONNECTION_FLAGS, NAMESPACE_FLAG, WAIT_FLAG } from "@stepstream/program/flags";
import { Command, CommanderError } from "commander";
import { allDefined, defined, settle } from "./commands/defined.ts";
import { COMMANDS } from "./commands/table.ts";
import type { ErrorJson } from "./errors.ts";
import { EXIT, Exit } from "./exit.ts";
import { Interrupted, type Io, ReaderGone } from "./io.ts";
import { painter } from "./print/colour.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const AFTER = `
Exit codes:
  0 done · 1 the answer is no (the run failed, a replay diverges) · 2 wrong usage · 3 no such run
  4 the bus does not answer · 5 the state forbids it (the run exists, or is over) · 130 interrupted

Examples:
  $ stepstream dev ./src/workflows.ts ./src/handlers.ts    everything on this machine
  $ stepstream start order --input '{"orderId":"1"}' --id order-1
  $ stepstream ls --status failed --since 1d
  $ stepstream show order-1                                 what it waits for, and why

"stepstream <command> --help" has options and examples of each.`;

/** The program: what all commands share, and their names. What else a command is comes when it is used. */
export function createProgram(io: Io): Command {
  const program = new Command("stepstream")
    .description("Start, look at, steer, replay and debug runs.")
    .version(version, "-V, --version");
  for (const flag of [CONNECTION_FLAGS[0], CONNECTION_FLAGS[1], NAMESPACE_FLAG, ...CONNECTION_FLAGS.slice(2)]) {
    const short = flag === NAMESPACE_FLAG ? "-n, " : "";
    program.option(`${short}--${flag.name} ${flag.value}`, `${flag.about} (${flag.variable})`);
  }
  program
    .option(`--${WAIT_FLAG.name} ${WAIT_FLAG.value}`, `${WAIT_FLAG.about} (${WAIT_FLAG.variable}; default: 0s)`)
    .option("--no-color", "no colours (NO_COLOR); a pipe has none anyway")
    .option("--stack", "errors with their stack traces")
    .configureHelp({
      showGlobalOptions: true,
      sortSubcommands: false,
      // Whether it has options is not known before it is defined: all of them have some.
      subcommandTerm: (command) =>
        `${command.name()} ${command.usage().replace(/\[(options|command)\] ?/g, "")}`.trim(),
    })
    .addHelpText("after", AFTER)
    .showSuggestionAfterError();
  for (const { usage, description, hidden = false } of COMMANDS)
    program.command(usage, { hidden }).description(description);
  program.hook("preSubcommand", async (_program, command) => void (await defined(command, io)));
  settle(program, io);
  return program;
}

/** The same with the options, examples and actions of all commands: for completion and docs. */
export async function wholeProgram(io: Io): Promise<Command> {
  return allDefined(createProgram(io), io);
}

/**
 * Runs one command.
 *
 * @returns What the process should end with; nothing is thrown.
 */
export async function runCli(argv: readonly string[], given: Io): Promise<number> {
  const end = argv.indexOf("--");
  const flags = new Set(end < 0 ? argv : argv.slice(0, end));
  const io = {
    ...given,
    json: flags.has("--json"),
    env: flags.has("--no-color") ? { ...given.env, NO_COLOR: "1" } : given.env,
  };
  return endOf(io.signal, await codeOf(argv, io));
}

/** Ctrl-C is 130 whatever became of it. What SIGTERM ends well has ended well; where nobody reads on, nobody minds. */
function endOf({ aborted, reason }: AbortSignal, code: number): number {
  if (!aborted) return code;
  if (reason instanceof ReaderGone) return EXIT.ok;
  return reason instanceof Interrupted && reason.by === "SIGTERM" && code === EXIT.ok ? EXIT.ok : EXIT.interrupted;
}

async function codeOf(argv: readonly string[], io: Io): Promise<number> {
  try {
    await createProgram(io).parseAsync(argv, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    // Help and version are no failures; the rest commander has told already.
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      const message = error.message.replace(/^error: /, "");
      if (io.json) printError(io, { code: "USAGE", message }, EXIT.usage);
      return EXIT.usage;
    }
    if (io.signal.aborted) return EXIT.interrupted;
    const { errorOf, exitCodeOf, lines, nextCommand } = await import("./errors.ts");
    if (io.json) {
      printError(io, errorOf(error), exitCodeOf(error), nextCommand(error));
      return exitCodeOf(error);
    }
    const paint = painter(io, io.err);
    const [what = "", ...causes] = lines(error);
    io.err.write(`${paint("red", "error:")} ${what}\n`);
    for (const cause of causes) io.err.write(`  because: ${cause}\n`);
    const next = nextCommand(error);
    if (next) io.err.write(`  next: ${next}\n`);
    if (argv.includes("--stack") && error instanceof Error) io.err.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

/** With --json: one line on standard error, so that standard output has answers and nothing else. */
function printError(io: Io, error: ErrorJson, exitCode: number, next?: string): void {
  io.err.write(`${JSON.stringify({ error, exitCode, ...(next !== undefined && { next }) })}\n`);
}
