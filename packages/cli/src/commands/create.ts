import type { Command } from "commander";
import type { Io } from "../io.ts";

export interface Flags {
  install: boolean;
  packages?: string;
}

const EXAMPLES = `
Examples:
  $ stepstream create shop              and then: cd shop && npm run dev
  $ stepstream create . --no-install    into this folder, if it is empty

Installs with the package manager that runs it (npx, pnpm dlx, yarn dlx, bunx). Run from a checkout of Stepstream, the
project is linked to the packages of the checkout.`;

export function define(command: Command, io: Io): void {
  command
    .option("--no-install", "do not install its packages")
    .option("--packages <folder>", 'take the packages of Stepstream from tarballs, as "npm run pack" makes them')
    .option("--json", "print what was made as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (folder: string, flags: Flags) => (await import("../actions/create.ts")).create(io, folder, flags));
}
