import { Readable } from "node:stream";
import { wholeProgram } from "@stepstream/cli";
import type { Command } from "commander";

/** The reference of the command line: what each command's `--help` says. */
export async function cliPage(): Promise<string> {
  const quiet = { write: () => true, columns: 100 };
  const program = await wholeProgram({
    in: Readable.from([]),
    out: quiet,
    err: quiet,
    env: {},
    cwd: ".",
    signal: new AbortController().signal,
    now: () => 0,
  });
  // What all of them take stands once, at the top.
  const parts = ["# stepstream", "", "```", program.helpInformation().trim(), told(program), "```"];
  for (const command of all(program)) {
    if (command === program) continue;
    command.configureHelp({ showGlobalOptions: false });
    parts.push("", `## ${nameOf(command)}`, "", "```", command.helpInformation().trim(), told(command), "```");
  }
  return `${parts.filter((part) => part !== undefined).join("\n")}\n`;
}

function* all(command: Command): Generator<Command> {
  yield command;
  for (const one of command.commands) if (!one.name().startsWith("__") && one.name() !== "help") yield* all(one);
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}

/** What stands below the options: examples. Commander has no other way to ask for it. */
function told(command: Command): string {
  let text = "";
  const { writeOut } = command.configureOutput();
  command.configureOutput({
    writeOut: (said) => {
      text += said;
    },
  });
  command.outputHelp();
  command.configureOutput({ writeOut: writeOut! });
  return text.slice(command.helpInformation().length).trimEnd();
}
