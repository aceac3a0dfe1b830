import type { z } from "zod";
import { MalformedMessageError } from "./errors.ts";

/**
 * Reads a message of the bus.
 *
 * @param where - What is being read (its subject and sequence), for the error.
 * @throws {MalformedMessageError} Not JSON, an unknown version or type, or a field at fault: with its path.
 */
export function decode<T>(schema: z.ZodType<T>, text: string, where: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MalformedMessageError(where, "", `not JSON (${(cause as Error).message})`);
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (version !== 1)
    throw new MalformedMessageError(where, "v", `unknown version ${JSON.stringify(version)}; known: 1`);
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0]!;
  throw new MalformedMessageError(where, pathOf(issue.path), issue.message);
}

/** `["lines", 3, "cents"]` → `lines[3].cents` */
export function pathOf(path: readonly PropertyKey[]): string {
  let out = "";
  for (const key of path) out += typeof key === "number" ? `[${key}]` : out === "" ? String(key) : `.${String(key)}`;
  return out;
}
