import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { CliError, EXIT } from "./errors.ts";
import type { Io } from "./io.ts";

/**
 * JSON from the command line: as it stands, `@file`, or `-` for standard input.
 *
 * @param what - The option, for the complaint.
 * @returns undefined if nothing was given.
 */
export async function readJson(what: string, said: string | undefined, io: Io): Promise<unknown> {
  if (said === undefined) return undefined;
  const [from, json] = await read(what, said, io);
  try {
    return JSON.parse(json);
  } catch (cause) {
    const hint = /^[\w./\\-]+\.json$/.test(json.trim()) ? ` For a file write @${json.trim()}.` : "";
    throw new CliError(`${what} ${from} is no JSON: ${(cause as Error).message}.${hint}`, EXIT.usage);
  }
}

async function read(what: string, said: string, io: Io): Promise<[from: string, json: string]> {
  if (said === "-") return ["on standard input", await text(io.in)];
  if (!said.startsWith("@")) return ["given", said];
  const path = resolve(io.cwd, said.slice(1));
  const json = await readFile(path, "utf8").catch((cause) => {
    throw new CliError(`${what}: ${path} cannot be read.`, EXIT.usage, { cause });
  });
  return [`in ${path}`, json];
}

/** A value for people who read it, and for programs alike. */
export function pretty(value: unknown): string {
  return JSON.stringify(value, undefined, 2) ?? "";
}
