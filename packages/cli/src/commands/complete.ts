import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import { allDefined } from "./defined.ts";

export function define(command: Command, io: Io): void {
  command
    .allowUnknownOption()
    .addOption(new Option("--help").hideHelp())
    .action(async (words: string[]) => {
      const { complete } = await import("../completion.ts");
      const program = await allDefined(command.parent!, io);
      for (const { value, about } of complete(program, words)) io.out.write(`${value}\t${about}\n`);
    });
}
