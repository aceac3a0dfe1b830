import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { addCancel } from "./commands/cancel.ts";
import { addCompletion } from "./commands/completion.ts";
import { addCreate } from "./commands/create.ts";
import { addDead } from "./commands/dead.ts";
import { addDelete } from "./commands/delete.ts";
import { addDev } from "./commands/dev.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addHistory } from "./commands/history.ts";
import { addLs } from "./commands/ls.ts";
import { addQuery } from "./commands/query.ts";
import { addQueue } from "./commands/queue.ts";
import { addReplay } from "./commands/replay.ts";
import { addResult } from "./commands/result.ts";
import { addSchedule } from "./commands/schedule.ts";
import { addShow } from "./commands/show.ts";
import { addSignal } from "./commands/signal.ts";
import { addStart } from "./commands/start.ts";
import { addTerminate } from "./commands/terminate.ts";
import { addUpdate } from "./commands/update.ts";
import { addWatch } from "./commands/watch.ts";
import { EXIT, Exit, exitCodeOf, lines, nextCommand } from "./errors.ts";
import { Interrupted, type Io } from "./io.ts";
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

/** The program: all commands, and what they share. */
export function createProgram(io: Io): Command {
  const program = new Command("stepstream")
    .description("Start, look at, steer, replay and debug runs.")
    .version(version, "-V, --version")
    .option(
      "--nats <url>",
      "servers, by commas (NATS_URL; default: a stepstream dev in this folder, the selected NATS context, or 127.0.0.1:4222)",
    )
    .option("--context <name>", "a context of the nats command (NATS_CONTEXT)")
    .option("-n, --namespace <name>", 'which namespace (STEPSTREAM_NAMESPACE; default: "default")')
    .option("--creds <file>", "credentials (NATS_CREDS)")
    .option("--user <name>", "(NATS_USER)")
    .option("--password <password>", "(NATS_PASSWORD, which is not seen by others on this machine)")
    .option("--token <token>", "(NATS_TOKEN)")
    .option("--nkey <file>", "the seed of an nkey (NATS_NKEY)")
    .option("--tls-cert <file>", "client certificate (NATS_CERT)")
    .option("--tls-key <file>", "its private key (NATS_KEY)")
    .option("--tls-ca <file>", "certificate authority (NATS_CA)")
    .option(
      "--connect-timeout <duration>",
      "how long to wait for a server that does not answer yet, such as 30s (STEPSTREAM_CONNECT_TIMEOUT; default: 0s)",
    )
    .option("--no-color", "no colours (NO_COLOR); a pipe has none anyway")
    .option("--stack", "errors with their stack traces")
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addHelpText("after", AFTER)
    .showSuggestionAfterError();
  for (const add of COMMANDS) add(program, io);
  settle(program, io);
  return program;
}

const COMMANDS = [
  addCreate,
  addDev,
  addStart,
  addLs,
  addShow,
  addWatch,
  addHistory,
  addReplay,
  addResult,
  addSignal,
  addQuery,
  addUpdate,
  addCancel,
  addTerminate,
  addDelete,
  addSchedule,
  addQueue,
  addDead,
  addDoctor,
  addCompletion,
];

/** Where help and complaints go, also those of commands of commands. */
function settle(command: Command, io: Io): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void io.out.write(text),
    writeErr: (text) => void io.err.write(text),
    getOutHelpWidth: () => io.out.columns ?? 100,
    getErrHelpWidth: () => io.err.columns ?? 100,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  if (command.parent) command.helpCommand(false);
  if (command.parent && command.commands.length === 0) command.showHelpAfterError(`See "${fullName(command)} --help".`);
  for (const one of command.commands) settle(one, io);
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}

/**
 * Runs one command.
 *
 * @returns What the process should end with; nothing is thrown.
 */
export async function runCli(argv: readonly string[], given: Io): Promise<number> {
  const io = argv.includes("--no-color") ? { ...given, env: { ...given.env, NO_COLOR: "1" } } : given;
  const program = createProgram(io);
  try {
    await program.parseAsync(argv, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    // Help and version are no failures; the rest commander has told already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (io.signal.aborted && (error instanceof Interrupted || error === io.signal.reason)) return EXIT.interrupted;
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
