import { relative, resolve } from "node:path";
import type { Command } from "commander";
import { install, type PackageManager, packageManager } from "../create/install.ts";
import { createProject } from "../create/project.ts";
import { packageSource } from "../create/source.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";

interface Flags {
  install: boolean;
  packages?: string;
}

const EXAMPLES = `
Examples:
  $ stepstream create shop              and then: cd shop && npm run dev
  $ stepstream create . --no-install    into this folder, if it is empty

Installs with the package manager that runs it (npx, pnpm dlx, yarn dlx, bunx). Run from a checkout of Stepstream, the
project is linked to the packages of the checkout.`;

export function addCreate(program: Command, io: Io): void {
  program
    .command("create <folder>")
    .description("make a project: a workflow, its steps, a test")
    .option("--no-install", "do not install its packages")
    .option("--packages <folder>", 'take the packages of Stepstream from tarballs, as "npm run pack" makes them')
    .addHelpText("after", EXAMPLES)
    .action((folder: string, flags: Flags) => create(io, resolve(io.cwd, folder), flags));
}

async function create(io: Io, folder: string, flags: Flags): Promise<void> {
  const source = await packageSource(flags.packages, io.cwd);
  // Links to folders mean what we mean by them to npm alone.
  const manager = source.kind === "checkout" ? "npm" : packageManager(io.env.npm_config_user_agent);
  const paint = painter(io, io.err);
  await createProject(folder, source);
  io.err.write(`${paint("green", "made")} ${folder}\n`);
  if (flags.install) {
    io.err.write(paint("gray", `${manager} install …\n`));
    await install(manager, folder, io.signal);
  }
  io.err.write(nextSteps(relative(io.cwd, folder), manager, flags.install));
}

function nextSteps(folder: string, manager: PackageManager, installed: boolean): string {
  const run = manager === "npm" ? "npm run" : manager;
  return [
    "",
    "Next:",
    ...(folder ? [`  cd ${/\s/.test(folder) ? JSON.stringify(folder) : folder}`] : []),
    ...(installed ? [] : [`  ${manager} install`]),
    `  ${run === "bun" ? "bun run test" : `${manager} test`}       the workflow in virtual time`,
    `  ${run} dev    everything on this machine, restarted on change`,
    "",
  ].join("\n");
}
