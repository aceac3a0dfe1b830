import type { z } from "zod";
import { pathOf } from "./codec.ts";
import { type Duration, durationMs, type RetryPolicy } from "./duration.ts";
import { Code, Name, Namespace, RunId } from "./ids.ts";
import { MAX_TIMER_MS } from "./limits.ts";
import { schemaFault } from "./schema-walk.ts";
import { shown } from "./shown.ts";

/**
 * Checks of what callers pass to definitions and calls: types do not stop JavaScript. Each throws a RangeError in one
 * wording, "Invalid <what> <value>. Use <what is allowed>.", where the wrong value was written.
 */

/** @throws {RangeError} Always. */
export function refuse(what: string, value: unknown, use: string): never {
  throw new RangeError(`Invalid ${what} ${shown(value)}. Use ${use}.`);
}

const NAME = "1 to 64 of A-Z a-z 0-9 _ -";

/** A step's, workflow's, signal's, query's, update's or breaker's name. */
export function checkName(what: string, name: unknown): asserts name is string {
  if (Name.safeParse(name).success) return;
  refuse(what, name, name === "__proto__" ? "another name: this one means an object's prototype" : NAME);
}

export function checkNamespace(namespace: unknown): asserts namespace is string {
  if (!Namespace.safeParse(namespace).success) refuse("namespace", namespace, "1 to 32 of A-Z a-z 0-9 _ -");
}

/** The code of a declared error. */
export function checkCode(what: string, code: unknown): asserts code is string {
  if (!Code.safeParse(code).success) refuse(what, code, "a letter, then up to 63 of A-Z a-z 0-9 _");
}

export function checkId(what: string, id: unknown): asserts id is string {
  if (!RunId.safeParse(id).success) refuse(what, id, NAME);
}

/** The caller's own id of a message: it never becomes part of a subject, so it may have any characters. */
export function checkMessageId(what: string, id: unknown): asserts id is string {
  if (typeof id !== "string" || id === "" || id.length > 256) refuse(what, id, "a string of 1 to 256 characters");
}

/** Text for people that travels with a message. */
export function checkText(what: string, text: unknown): asserts text is string {
  if (typeof text !== "string" || text.length > MAX_TEXT)
    refuse(what, text, `a string of at most ${MAX_TEXT} characters`);
}

const MAX_TEXT = 4_000;

export function checkWhole(what: string, value: unknown, min = 1, max = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return;
  const range = max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`;
  refuse(what, value, range);
}

export function checkOneOf<T extends string>(what: string, value: unknown, allowed: readonly T[]): asserts value is T {
  if (!allowed.includes(value as T)) refuse(what, value, allowed.map((one) => `"${one}"`).join(" or "));
}

/** A function that is called as one: generators and classes never do what was meant. */
export function checkFunction(what: string, value: unknown): void {
  if (typeof value !== "function") refuse(what, value, "a function");
  const tag = Object.prototype.toString.call(value);
  const generator = tag === "[object GeneratorFunction]" || tag === "[object AsyncGeneratorFunction]";
  // That of a function may be assigned.
  const isClass = Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false;
  if (generator || isClass)
    throw new RangeError(
      `Invalid ${what}: it is a ${generator ? "generator" : "class"}. Use a function or an async function.`,
    );
}

export function checkObject(what: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(what, value, "an object");
}

/**
 * A misspelt key would silently change nothing. Makes no list of the keys: it is called for each call that has options.
 *
 * @param of - Whose options they are, e.g. `of step "charge"`.
 */
export function checkKeys(of: string, value: object, allowed: readonly string[]): void {
  for (const key in value)
    if (!allowed.includes(key) && Object.hasOwn(value, key))
      throw new RangeError(`Invalid option ${shown(key)} ${of}. Use ${listed(allowed)}.${meant(key, allowed)}`);
}

function listed(allowed: readonly string[]): string {
  return allowed.map((one) => `"${one}"`).join(", ");
}

/** The allowed key that a misspelt one is most like, as a question; empty if it is like none. */
function meant(key: string, allowed: readonly string[]): string {
  if (key.length > MOST_COMPARED) return "";
  const near = allowed
    .map((one) => ({ one, distance: distance(key.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, distance }) => distance <= one.length / 3)
    .sort((a, b) => a.distance - b.distance)[0];
  return near ? ` Did you mean "${near.one}"?` : "";
}

const MOST_COMPARED = 40;

/** How many characters to insert, delete or replace. Source: V. Levenshtein, 1966. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row.at(-1)!;
}

/**
 * The options of a call: absent, or an object.
 *
 * @param allowed - The keys that it may have.
 */
export function checkOptions(what: string, options: unknown, allowed: readonly string[]): void {
  if (options === undefined) return;
  checkObject(`options of ${what}`, options);
  checkKeys(`of ${what}`, options as object, allowed);
}

/**
 * @param options.min - The shortest that is allowed, in milliseconds. Default 0.
 * @param options.max - The longest. Default 100 years, the longest duration of all.
 * @returns Milliseconds.
 */
export function checkDuration(
  what: string,
  duration: Duration,
  { min = 0, max = Number.POSITIVE_INFINITY }: { min?: number; max?: number } = {},
): number {
  const ms = durationMs(duration, what);
  if (ms < min) refuse(what, duration, min === 1 ? "at least 1 ms" : `at least ${min} ms`);
  if (ms > max) refuse(what, duration, `at most ${max} ms (${Math.floor(max / 86_400_000)}d)`);
  return ms;
}

/** The option `watchdog` of a coordinator or worker, but for the number in it. */
export function checkWatchdog(watchdog: unknown): void {
  if (watchdog === undefined || watchdog === false) return;
  if (typeof watchdog !== "object" || watchdog === null || Array.isArray(watchdog))
    refuse("watchdog", watchdog, "false or { stallMs }");
  checkKeys("of watchdog", watchdog, ["stallMs"]);
}

/** What a heartbeat or a circuit breaker may last: a timer of Node's, 24 days. */
export const TIMER = { min: 1, max: MAX_TIMER_MS };

/** @param of - Whose it is, e.g. `of step "charge"`. */
export function checkBackoff(
  what: string,
  backoff: unknown,
  of = "",
): asserts backoff is Omit<RetryPolicy, "maxAttempts"> {
  if (typeof backoff !== "object" || backoff === null)
    refuse(
      `${what}${of && " "}${of}`,
      backoff,
      "exponential({ … }), fixed(…), or { initialMs, factor, maxMs, jitter }",
    );
  const { initialMs, factor, maxMs, jitter } = backoff as Partial<RetryPolicy>;
  const field = (key: string) => `${what}.${key}${of && " "}${of}`;
  durationMs(initialMs as number, field("initialMs"));
  durationMs(maxMs as number, field("maxMs"));
  if (!(Number.isFinite(factor) && factor! >= 1)) refuse(field("factor"), factor, "a number from 1");
  checkOneOf(field("jitter"), jitter, ["full", "equal", "none"]);
}

/** What `step()` or `workflow()` returned, and nothing else. */
export function checkDefinition(kind: "step" | "workflow", what: string, value: unknown): void {
  const made = typeof value === "object" && value !== null && (value as { kind?: unknown }).kind === kind;
  if (!made) refuse(what, value, kind === "step" ? "what step(…) returned" : "what workflow(…) returned");
}

/** A schema of zod 4 for values that can be sent; what is async as far as that can be seen is refused. */
export function checkSchema(what: string, schema: unknown): asserts schema is z.ZodType {
  const fault = schemaFault(schema);
  if (fault)
    throw new RangeError(
      `Invalid ${what}${fault.path.length > 0 ? ` at ${pathOf(fault.path)}` : ""}: ${fault.message}.`,
    );
}
