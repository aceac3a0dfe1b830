import type { Command } from "commander";
import type { Io } from "../io.ts";
import { COMMANDS } from "./table.ts";

const done = new WeakSet<Command>();

/** Gives a command its options, its examples and its action, unless it has them; those of its subcommands too. */
export async function defined(command: Command, io: Io): Promise<Command> {
  const listed = command.parent?.parent ? undefined : COMMANDS.find(({ usage }) => nameIn(usage) === command.name());
  if (!listed || done.has(command)) return command;
  done.add(command);
  const { define } = await listed.load();
  define(command, io, defined);
  // commander has looked for them already, when it came to this command: `--no-install` alone means that it is, by default.
  for (const option of command.options) {
    const name = option.attributeName();
    const lone = option.negate && !command.options.some((other) => !other.negate && other.attributeName() === name);
    if (lone) command.setOptionValueWithSource(name, true, "default");
  }
  settle(command, io);
  return command;
}

/** The program, with all of its commands defined. */
export async function allDefined(program: Command, io: Io): Promise<Command> {
  await Promise.all(program.commands.map((one) => defined(one, io)));
  return program;
}

function nameIn(usage: string): string {
  return usage.split(" ")[0]!;
}

/** Where help and complaints go, also those of commands of commands. */
export function settle(command: Command, io: Io): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void io.out.write(text),
    // With --json it is an object, later.
    writeErr: (text) => void (io.json || io.err.write(text)),
    getOutHelpWidth: () => io.out.columns ?? 100,
    getErrHelpWidth: () => io.err.columns ?? 100,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  command.helpCommand(false);
  if (command.parent && command.commands.length === 0) command.showHelpAfterError(`See "${fullName(command)} --help".`);
  for (const one of command.commands) settle(one, io);
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}
