import type { z } from "zod";
import { MalformedMessageError, MessageTooLargeError } from "./errors.ts";
import { isDeeperText, isTooLong, MAX_MESSAGE_BYTES, MAX_MESSAGE_DEPTH, MAX_PAYLOAD_BYTES } from "./limits.ts";
import { quickCheck } from "./quick-check.ts";

/**
 * Reads a message of the bus.
 *
 * @param where - What is being read (its subject and sequence), for the error.
 * @throws {MalformedMessageError} And nothing else: empty, not JSON, an unknown version or type, too long or too deep,
 * or a field at fault: with its path.
 */
export function decode<T>(schema: z.ZodType<T>, text: string, where: string): T {
  if (text === "") throw new MalformedMessageError(where, "", "not JSON (it is empty)");
  if (isTooLong(text)) throw new MalformedMessageError(where, "", `longer than ${MAX_MESSAGE_BYTES} bytes`);
  if (isDeeperText(text, MAX_MESSAGE_DEPTH))
    throw new MalformedMessageError(where, "", `nested deeper than ${MAX_MESSAGE_DEPTH} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MalformedMessageError(where, "", `not JSON (${shortened((cause as Error).message)})`);
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (version !== 1)
    throw new MalformedMessageError(
      where,
      "v",
      `unknown version ${shortened(JSON.stringify(version))}; known: 1`,
      typeof version === "number" ? version : undefined,
    );
  if (quickCheck(schema)(value)) return value as T;
  let read: z.ZodSafeParseResult<T>;
  try {
    read = schema.safeParse(value);
  } catch (cause) {
    throw new MalformedMessageError(where, "", shortened(String(cause)));
  }
  if (read.success) return read.data;
  const reference = faultOfReference(value);
  if (reference) throw new MalformedMessageError(where, "", shortened(reference));
  const issue = read.error.issues[0]!;
  throw new MalformedMessageError(where, shortened(pathOf(issue.path)), shortened(issue.message));
}

/** What a reader of the bus hands on in place of a large message that it could not fetch. */
function faultOfReference(value: unknown): string | undefined {
  const { type, why } = value as { type?: unknown; why?: unknown };
  if (type === "BlobLost") return `a reference to a large payload that cannot be fetched (${why})`;
  if (type === "Ref") return "a reference to a large payload whose header or fields are not valid";
  return undefined;
}

/**
 * Writes a message of the bus.
 *
 * @param what - For the error, e.g. `the start of run r1`.
 * @throws {MessageTooLargeError}
 */
export function encode(what: string, message: object, max = MAX_MESSAGE_BYTES): string {
  return limited(what, message, max);
}

/**
 * Writes a value that becomes a part of a message.
 *
 * @param what - For the error, e.g. `the input of step "pay"`.
 * @param value - What `toWire` returned.
 * @returns Its JSON; empty for undefined.
 * @throws {MessageTooLargeError}
 */
export function encodePayload(what: string, value: unknown): string {
  return value === undefined ? "" : limited(what, value, MAX_PAYLOAD_BYTES);
}

function limited(what: string, value: unknown, max: number): string {
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    if (isTooLongForV8(error)) throw new MessageTooLargeError(what, undefined, max);
    throw error;
  }
  if (isTooLong(text, max)) throw new MessageTooLargeError(what, Buffer.byteLength(text), max);
  return text;
}

/** "Invalid string length": V8 makes none of more than 536 million characters. */
export function isTooLongForV8(error: unknown): boolean {
  return error instanceof RangeError && /string length/.test(error.message);
}

/** Whether a message could not be read because a newer release wrote it: it is valid there. */
export function isOfNewerVersion(error: unknown): boolean {
  return error instanceof MalformedMessageError && Number.isInteger(error.version) && error.version! > 1;
}

/** A message at fault is quoted in logs and dead letters: not the whole of it. */
function shortened(text: string | undefined): string {
  if (text === undefined) return "undefined";
  return text.length <= QUOTE_MAX ? text : `${text.slice(0, QUOTE_MAX)}…`;
}

const QUOTE_MAX = 300;

const PATH_MAX = 200;

/** `["lines", 3, "cents"]` → `lines[3].cents`. A path of more than 200 characters has `…` in place of its middle. */
export function pathOf(path: readonly PropertyKey[]): string {
  let out = "";
  for (const key of path) out += typeof key === "number" ? `[${key}]` : out === "" ? String(key) : `.${String(key)}`;
  return out.length <= PATH_MAX ? out : `${out.slice(0, PATH_MAX / 2)}…${out.slice(1 - PATH_MAX / 2)}`;
}
