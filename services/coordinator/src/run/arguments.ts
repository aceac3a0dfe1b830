import { checkKeys, type Duration, durationMs, Name, RetryPolicy, RunId, TimeoutPolicy } from "@stepstream/contracts";
import { type AnyStep, type AnyWorkflow, policiesOf, type RunOptions } from "@stepstream/sdk";

/**
 * What workflow code passes to `w`, checked where it is passed: TypeScript does not see what JavaScript, a cast or a
 * computed value brings. What passes here never makes the coordinator throw later.
 *
 * G1. A wrong argument throws a RangeError at the call; nothing was decided.
 * G2. Reading an argument never throws anything else, whatever it is.
 *
 * Checked elsewhere:
 *   G1  ../../../../test/containment/turn.test.ts: is refused at the call, and the workflow may catch that
 *   G2  ../../../../test/fuzz/programs.test.ts: a program that does what it should not
 */

/** "Invalid <what> <value>. Use <what is allowed>." */
export function invalid(what: string, value: unknown, use: string): RangeError {
  return new RangeError(`Invalid ${what} ${shown(value)}. Use ${use}.`);
}

const MOST_SHOWN = 100;

/** A value for a message: short, and without calling anything of its own. */
function shown(value: unknown): string {
  if (typeof value === "string") return cut(JSON.stringify(value.slice(0, MOST_SHOWN + 1)));
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return cut(String(value) + (typeof value === "bigint" ? "n" : ""));
  try {
    return cut(JSON.stringify(value) ?? "an object");
  } catch {
    return "an object";
  }
}

function cut(text: string): string {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

/** Definitions that were found good: nearly always the same few. */
const good = { step: new WeakSet<object>(), workflow: new WeakSet<object>() };

export function checkStep(call: string, step: unknown): asserts step is AnyStep {
  checkDefinition("step", call, step);
}
export function checkWorkflow(call: string, workflow: unknown): asserts workflow is AnyWorkflow {
  checkDefinition("workflow", call, workflow);
}

function checkDefinition(kind: "step" | "workflow", call: string, given: unknown): void {
  if (typeof given === "object" && given !== null && good[kind].has(given)) return;
  const fits = attempt(() => {
    const { kind: of, name, input, output } = given as AnyStep;
    return of === (kind as string) && Name.safeParse(name).success && hasSchemas(input, output);
  });
  if (!fits) throw invalid(`${kind} of ${call}`, given, `what ${kind}("name", { … }) returned`);
  // What may still change is looked at each time.
  if (Object.isFrozen(given)) good[kind].add(given as object);
}

function hasSchemas(...schemas: any[]): boolean {
  return schemas.every((schema) => typeof schema?.safeParse === "function");
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch {
    return undefined;
  }
}

/**
 * An object of options; an empty one where there is none.
 *
 * @param allowed - The keys that it may have.
 */
export function optionsOf<T extends object>(
  call: string,
  options: T | undefined,
  allowed: readonly string[],
): Partial<T> {
  if (options === undefined) return NONE;
  const read = objectOf(`options of ${call}`, options);
  checkKeys(`of ${call}`, read, allowed);
  return read;
}

const NONE = Object.freeze({});

function objectOf<T extends object>(what: string, value: T | undefined): Partial<T> {
  if (value === undefined) return {};
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw invalid(what, value, "an object");
}

/** @returns Milliseconds. */
export function duration(what: string, value: unknown): number {
  return durationMs(value as Duration, what);
}

export function optionalDuration(what: string, value: unknown): number | undefined {
  return value === undefined ? undefined : duration(what, value);
}

/** A time-out that is over at once is a mistake in the arithmetic of whoever set it. */
function optionalTimeout(what: string, value: unknown): number | undefined {
  const ms = optionalDuration(what, value);
  if (ms === 0) throw invalid(what, value, "more than 0 ms");
  return ms;
}

export function oneOf<const T extends string>(what: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw invalid(what, value, choices.map((choice) => `"${choice}"`).join(" or "));
}

export function callback(what: string, value: unknown): void {
  if (typeof value !== "function") throw invalid(what, value, "a function");
}

export function optionalCallback(what: string, value: unknown): void {
  if (value !== undefined) callback(what, value);
}

/** The name of a signal, query or update: declared names are all of this form. */
export function name(what: string, value: unknown): string {
  if (Name.safeParse(value).success) return value as string;
  throw invalid(what, value, "1 to 64 of A-Z a-z 0-9 _ -");
}

const MOST_LABEL = 256;

/** A text that names something in the history, and that people and programs compare: one short line. */
export function label(what: string, value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= MOST_LABEL && isLine(value)) return value;
  throw invalid(what, value, `a string of 1 to ${MOST_LABEL} characters, without control characters`);
}

const MOST_REASON = 4_000;

/** Why something is done, for people; the same limit as for clients. */
export function reason(what: string, value: unknown): string {
  if (typeof value === "string" && value.length <= MOST_REASON && value.isWellFormed()) return value;
  throw invalid(what, value, `a string of at most ${MOST_REASON} characters`);
}

/** No control characters, no line or paragraph separators, and no half of a surrogate pair. */
function isLine(value: string): boolean {
  return value.isWellFormed() && !/[\p{Cc}\u2028\u2029]/u.test(value);
}

export function positiveInteger(what: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw invalid(what, value, "a whole number from 1");
}

export function runId(what: string, value: unknown): string {
  if (RunId.safeParse(value).success) return value as string;
  throw invalid(what, value, "1 to 64 of A-Z a-z 0-9 _ -");
}

/**
 * The branches of a group. Other iterables (a `Set`, a `Map`, a generator) and promises are refused: read as records they
 * would be groups of nothing.
 */
export function listOrRecord(what: string, value: unknown): void {
  if (attempt(() => Array.isArray(value) || isRecord(value)) !== true)
    throw invalid(what, value, "a list or a record of promises");
}

function isRecord(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Also one from another realm: its prototype is the root of that realm.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

export function list(what: string, value: unknown): void {
  if (!Array.isArray(value)) throw invalid(what, value, "a list");
}

export function checkBackoff(what: string, backoff: unknown): void {
  const read = attempt(() => RetryPolicy.safeParse({ ...(backoff as object), maxAttempts: 1 }));
  if (!read?.success) throw invalid(what, backoff, "what fixed(…) or exponential(…) returned");
}

/** The policies of one call, where it has options of its own. @throws {RangeError} One of them makes no sense. */
export function checkPolicies(call: string, step: AnyStep, options: RunOptions): void {
  const { retry, timeout } = options;
  if (retry === undefined && timeout === undefined) return;
  const { attempt, total, queue } = objectOf(`timeout of ${call}`, timeout);
  optionalTimeout(`timeout.attempt of ${call}`, attempt);
  optionalTimeout(`timeout.total of ${call}`, total);
  optionalTimeout(`timeout.queue of ${call}`, queue);
  const { maxAttempts, backoff } = objectOf(`retry of ${call}`, retry);
  if (maxAttempts !== undefined) positiveInteger(`retry.maxAttempts of ${call}`, maxAttempts);
  if (backoff !== undefined) checkBackoff(`retry.backoff of ${call}`, { ...step.retry, ...(backoff as object) });
  const policies = policiesOf(step, options);
  if (!RetryPolicy.safeParse(policies.retry).success)
    throw invalid(`retry of ${call}`, retry, "{ maxAttempts, backoff }");
  if (!TimeoutPolicy.safeParse(policies.timeout).success)
    throw invalid(`timeout of ${call}`, timeout, "{ attempt, total, queue }");
}
