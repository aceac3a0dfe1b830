/** What the programs take, to compare the files of a deployment with. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { wholeProgram } from "@stepstream/cli";
import {
  CONNECTION_FLAGS,
  COORDINATOR_FLAGS,
  NAMESPACE_FLAG,
  OTHER_VARIABLES,
  PROGRAM_FLAGS,
  WAIT_FLAG,
  WORKER_FLAGS,
} from "@stepstream/program/flags";
import type { Command } from "commander";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const read = (path: string) => readFile(`${ROOT}${path}`, "utf8");

const SHARED = [...CONNECTION_FLAGS, NAMESPACE_FLAG, WAIT_FLAG];
const PROGRAMS = {
  "stepstream-coordinator": [...SHARED, ...PROGRAM_FLAGS, ...COORDINATOR_FLAGS],
  "stepstream-worker": [...SHARED, ...PROGRAM_FLAGS, ...WORKER_FLAGS],
};

/** The variables of the environment that one of the programs reads. */
const VARIABLES = new Set([
  ...[...SHARED, ...PROGRAM_FLAGS, ...COORDINATOR_FLAGS, ...WORKER_FLAGS].map(
    (flag) => (flag as { variable?: string }).variable,
  ),
  ...Object.keys(OTHER_VARIABLES),
  "NODE_ENV",
]);

export function isVariable(name: string): boolean {
  return VARIABLES.has(name) || /^OTEL_[A-Z_]+$/.test(name);
}

/** What a program would not take of a command line. The modules of coordinators and workers are given back. */
export async function checkCommand([name, ...args]: readonly string[]): Promise<{
  wrong: string[];
  modules: string[];
}> {
  const options = args.filter((arg) => arg.startsWith("-")).map((arg) => arg.replace(/=.*$/s, ""));
  if (name === "stepstream") {
    const { known, command } = await commandOf(args);
    if (command.commands.length > 0 && !known.has(args.at(-1)!))
      return { wrong: [`${args.join(" ")}: no command`], modules: [] };
    return { wrong: options.filter((option) => !known.has(option)), modules: [] };
  }
  const flags = PROGRAMS[name as keyof typeof PROGRAMS];
  if (!flags) return { wrong: [`there is no program "${name}"`], modules: [] };
  const known = new Set<string>(["--help", "--quiet", ...flags.map((flag) => `--${flag.name}`)]);
  return {
    wrong: options.filter((option) => !known.has(option)),
    modules: args.filter((arg) => !arg.startsWith("-")),
  };
}

/** The command that the arguments name, and the options that it takes. */
async function commandOf(args: readonly string[]): Promise<{ command: Command; known: Set<string> }> {
  const io = { out: process.stdout, err: process.stderr } as unknown as Parameters<typeof wholeProgram>[0];
  let command = await wholeProgram(io);
  const known = new Set(["--help", "--version"]);
  const add = () => {
    for (const { long } of command.options) if (long) known.add(long);
  };
  add();
  for (const arg of args) {
    const next = command.commands.find((one) => one.name() === arg);
    if (!next) break;
    command = next;
    add();
  }
  return { command, known };
}

/** "30s" and "2m" as Compose and Kubernetes write them, in milliseconds. */
export function durationOf(text: string): number {
  const [, value, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as "s"];
  if (!ms) throw new Error(`"${text}" is not a duration.`);
  return Number(value) * ms;
}
