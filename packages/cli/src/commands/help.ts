import type { Command } from "commander";
import type { Io } from "../io.ts";
import { defined } from "./defined.ts";

const EXAMPLES = `
Examples:
  $ stepstream help start
  $ stepstream help schedule create`;

export function define(command: Command, io: Io): void {
  command.addHelpText("after", EXAMPLES).action(async (words: string[]) => {
    let at = command.parent!;
    for (const word of words) {
      const below = at.commands.find((one) => one.name() === word);
      if (!below) return at.error(`error: unknown command '${word}'`, { code: "commander.unknownCommand" });
      at = await defined(below, io);
    }
    at.outputHelp();
  });
}
