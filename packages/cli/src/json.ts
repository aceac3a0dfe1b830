import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { encodeValue, fromWire } from "@stepstream/contracts";
import { CliError, EXIT } from "./exit.ts";
import type { Io } from "./io.ts";

/**
 * JSON from the command line: as it stands, `@file`, or `-` for standard input. What JSON has no form for is written as on
 * the bus: `{"$type":"Date","value":"2026-11-26T00:00:00Z"}`.
 *
 * @param what - The option, for the complaint.
 * @returns undefined if nothing was given.
 */
export async function readJson(what: string, said: string | undefined, io: Io): Promise<unknown> {
  if (said === undefined) return undefined;
  const [from, json] = await read(what, said, io);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const hint = /^[\w./\\-]+\.json$/.test(json.trim()) ? ` For a file write @${json.trim()}.` : "";
    throw new CliError(`${what} ${from} is no JSON: ${(cause as Error).message}.${hint}`, EXIT.usage);
  }
  const given = fromWire(undefined, value);
  if (given.ok) return given.value;
  throw new CliError(`${what} ${from} is not valid${given.path && ` at ${given.path}`}: ${given.message}.`, EXIT.usage);
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

/** A value as it was sent, for people who read it and for programs alike. `readJson` reads it back. */
export function pretty(value: unknown): string {
  return JSON.stringify(encodeValue(value), undefined, 2) ?? "";
}

/** The same on one line. */
export function compact(value: unknown): string {
  return JSON.stringify(encodeValue(value)) ?? "";
}

/** What is stored of a value, for people alone: a Date is its time, a Map its entries, bytes are counted. */
export function readable(json: unknown): unknown {
  const read = fromWire(undefined, json);
  return read.ok ? plain(read.value) : json;
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return [...value].map(plain);
  if (value instanceof Set) return [...value].map(plain);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `(${value.byteLength} bytes)`;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
