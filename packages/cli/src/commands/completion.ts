import type { Command } from "commander";
import type { Shell } from "../completion.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream completion bash > ~/.local/share/bash-completion/completions/stepstream
  $ stepstream completion zsh > "\${fpath[1]}/_stepstream"
  $ stepstream completion fish > ~/.config/fish/completions/stepstream.fish`;

export function define(command: Command, io: Io): void {
  command.addHelpText("after", EXAMPLES).action(async (shell: string) => {
    const { SCRIPTS } = await import("../completion.ts");
    if (!Object.hasOwn(SCRIPTS, shell)) command.error(`error: there is no completion for "${shell}": bash, zsh, fish`);
    io.out.write(SCRIPTS[shell as Shell]);
  });
}
