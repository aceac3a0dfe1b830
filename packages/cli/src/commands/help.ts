import type { Command } from "commander";
import type { Io } from "../io.ts";
import type { Load } from "./table.ts";

const EXAMPLES = `
Examples:
  $ stepstream help start
  $ stepstream help schedule create`;

export function define(command: Command, io: Io, load: Load): void {
  command.addHelpText("after", EXAMPLES).action(async (words: string[]) => {
    let at = command.parent!;
    for (const word of words) {
      const below = at.commands.find((one) => one.name() === word);
      if (!below) return at.error(`error: unknown command '${word}'`, { code: "commander.unknownCommand" });
      at = await load(below, io);
    }
    at.outputHelp();
  });
}
