/** Of the examples in a command's help: those of one of its subcommands, for its own. */
export function examplesOf(help: string, subcommand: string): string {
  const own = help.split("\n").filter((line) => line.startsWith(`  $ stepstream ${subcommand}`));
  return ["", "Examples:", ...own].join("\n");
}
