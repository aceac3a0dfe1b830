import { relative, resolve } from "node:path";
import type { Flags } from "../commands/create.ts";
import { install, type PackageManager, packageManager } from "../create/install.ts";
import { createProject } from "../create/project.ts";
import { packageSource } from "../create/source.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { did } from "../print/did.ts";

export async function create(io: Io, said: string, flags: Flags): Promise<void> {
  const folder = resolve(io.cwd, said);
  const source = await packageSource(flags.packages, io.cwd);
  // Links to folders mean what we mean by them to npm alone.
  const manager = source.kind === "checkout" ? "npm" : packageManager(io.env.npm_config_user_agent);
  const paint = painter(io, io.err);
  await createProject(folder, source);
  if (!io.json) io.err.write(`${paint("green", "made")} ${folder}\n`);
  if (flags.install) {
    io.err.write(paint("gray", `${manager} install …\n`));
    await install(manager, folder, io.signal);
  }
  if (io.json) return did(io, "", { folder, done: "create", installed: flags.install });
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
