import { type Command, Option } from "commander";
import { complete, SCRIPTS, type Shell } from "../completion.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream completion bash > ~/.local/share/bash-completion/completions/stepstream
  $ stepstream completion zsh > "\${fpath[1]}/_stepstream"
  $ stepstream completion fish > ~/.config/fish/completions/stepstream.fish`;

export function addCompletion(program: Command, io: Io): void {
  program
    .command("completion <shell>")
    .description("print a script that completes commands and options in bash, zsh or fish")
    .addHelpText("after", EXAMPLES)
    .action((shell: string, _flags: object, command: Command) => {
      if (!Object.hasOwn(SCRIPTS, shell))
        command.error(`error: there is no completion for "${shell}": bash, zsh, fish`);
      io.out.write(SCRIPTS[shell as Shell]);
    });
  program
    .command("__complete [words...]", { hidden: true })
    .allowUnknownOption()
    .addOption(new Option("--help").hideHelp())
    .action((words: string[]) => {
      for (const { value, about } of complete(program, words)) io.out.write(`${value}\t${about}\n`);
    });
}
