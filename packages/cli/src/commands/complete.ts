import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import type { Load } from "./table.ts";

export function define(command: Command, io: Io, load: Load): void {
  command
    .allowUnknownOption()
    .addOption(new Option("--help").hideHelp())
    .action(async (words: string[]) => {
      const { complete } = await import("../completion.ts");
      const program = command.parent!;
      await Promise.all(program.commands.map((one) => load(one, io)));
      for (const { value, about } of complete(program, words)) io.out.write(`${value}\t${about}\n`);
    });
}
