import { z } from "zod";
import * as errors from "./errors.ts";
import { isDeeper, MAX_DATA_DEPTH, MAX_DATA_LENGTH } from "./limits.ts";
import { decodeValue, encodeValue } from "./value-codec.ts";

/**
 * Errors as data.
 *
 *   toFailure(thrown)    -> Failure   never throws, whatever was thrown; the result is plain JSON
 *   fromFailure(failure) -> Error     of its own class if that is one of Stepstream's, else a RemoteError
 *
 * F1. toFailure(fromFailure(toFailure(x))) equals toFailure(x): nothing is lost on the second trip.
 *
 * Checked elsewhere:
 *   F1  failure.test.ts: (F1)
 */

/** An error as it crosses the bus: name, code, message, stack, data and the chain of causes survive. */
export interface Failure {
  /** The class of the error, e.g. `TimeoutError`. */
  name: string;
  /** Stable, for programs; explained in docs/errors.md. Errors that carry none get `ERROR`. */
  code: string;
  /** For people. May change between releases; never parse it. */
  message: string;
  /** Where it was thrown, as the language of the sender writes it. */
  stack?: string | undefined;
  /** What the error carries besides: ids, exit codes, output. */
  data?: Record<string, unknown> | undefined;
  /** What led to it. */
  cause?: Failure | undefined;
}

export const Failure: z.ZodType<Failure> = z.object({
  name: z.string(),
  code: z.string(),
  message: z.string(),
  stack: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
  get cause() {
    return Failure.optional();
  },
});

const MAX_STACK = 8_000;
const MAX_MESSAGE = 32_000;
const MAX_DEPTH = 8;
/** Of one failure, causes and errors in `data` included. Bounds what an AggregateError can grow to. */
const MAX_ERRORS = 100;

/** Stepstream's own errors by code. DeclaredError is missing: its codes are the user's. */
const OWN = new Map(
  Object.entries({
    STEP_FAILED: errors.StepError,
    TIMEOUT: errors.TimeoutError,
    VALIDATION_FAILED: errors.ValidationError,
    WORKFLOW_CANCELLED: errors.WorkflowCancelledError,
    WORKFLOW_TERMINATED: errors.WorkflowTerminatedError,
    CHILD_FAILED: errors.ChildError,
    STEP_CANCELLED: errors.StepCancelledError,
    WORKFLOW_FAILED: errors.WorkflowFailedError,
    UNHANDLED_REJECTION: errors.UnhandledRejectionError,
    UNTRACKED_BRANCH: errors.UntrackedBranchError,
    WORKER_LOST: errors.WorkerLostError,
    SLOT_ABANDONED: errors.SlotAbandonedError,
    CIRCUIT_OPEN: errors.CircuitOpenError,
    NON_DETERMINISM: errors.NonDeterminismError,
    FORBIDDEN_IN_WORKFLOW: errors.ForbiddenInWorkflowError,
    FORBIDDEN_IN_QUERY: errors.ForbiddenInQueryError,
    STALLED: errors.StalledError,
    INVARIANT_VIOLATED: errors.InvariantError,
    SIGNAL_REFUSED: errors.SignalRefusedError,
    UPDATE_REFUSED: errors.UpdateRefusedError,
    QUERY_FAILED: errors.QueryFailedError,
    QUERY_UNANSWERED: errors.QueryUnansweredError,
    RUN_NOT_FOUND: errors.RunNotFoundError,
    RUN_ALREADY_EXISTS: errors.RunAlreadyExistsError,
    RUN_CLOSED: errors.RunClosedError,
    RUN_PARKED: errors.RunParkedError,
    RUN_NOT_RETRIED: errors.RunNotRetriedError,
    RUN_STILL_GOING: errors.RunStillGoingError,
    UNKNOWN_WORKFLOW: errors.UnknownWorkflowError,
    INVALID_INPUT: errors.InvalidInputError,
    INVALID_OUTPUT: errors.InvalidOutputError,
    MALFORMED_MESSAGE: errors.MalformedMessageError,
    WRONG_LAST_SEQUENCE: errors.WrongLastSequenceError,
    LOG_UNAVAILABLE: errors.LogUnavailableError,
    LOG_REFUSED: errors.LogRefusedError,
    PERMISSION_DENIED: errors.PermissionDeniedError,
    NAMESPACE_EXISTS: errors.NamespaceExistsError,
    NAMESPACE_NOT_FOUND: errors.NamespaceNotFoundError,
    CALL_TIMEOUT: errors.CallTimeoutError,
    MESSAGE_TOO_LARGE: errors.MessageTooLargeError,
    PARTITION_MISMATCH: errors.PartitionMismatchError,
    SERVER_TOO_OLD: errors.ServerTooOldError,
    NOT_RUNNING: errors.NotRunningError,
  }),
);

/** Of one thrown value, so many errors are looked at. */
const MAX_LOOKED_AT = 1_000;

/**
 * Returns what was thrown and all errors that led to it: causes, and the errors of an AggregateError, nearest first, each
 * once. Ends for circles too, at 1,000, and never throws: what a getter or a proxy refuses to say is left out.
 */
export function errorsIn(thrown: unknown): unknown[] {
  const found = new Set<unknown>([thrown]);
  for (const one of found) {
    if (typeof one !== "object" || one === null) continue;
    const causes = [
      attempt(() => (one as ErrorLike).cause),
      ...(attempt(() => (isInstance(one, AggregateError) ? one.errors.slice(0, MAX_LOOKED_AT) : [])) ?? []),
    ];
    for (const cause of causes) if (cause !== undefined && found.size < MAX_LOOKED_AT) found.add(cause);
  }
  return [...found];
}

/** `instanceof` that never throws: a proxy may refuse to say what it is. */
export function isInstance<T>(value: unknown, type: abstract new (...args: any[]) => T): value is T {
  return attempt(() => value instanceof type) ?? false;
}

/** The message of what was thrown, whatever that is; never throws. */
export function messageOf(thrown: unknown): string {
  if (typeof thrown === "string" || typeof thrown !== "object" || thrown === null) return toFailure(thrown).message;
  const message = attempt(() => (isError(thrown) ? thrown.message : undefined));
  return typeof message === "string" && message !== "" ? message : toFailure(thrown).message;
}

/**
 * What was thrown as an error that is safe to read, log and look through: itself where it is that already, else a copy.
 * A getter that throws, a circle of causes or something that is not an Error does no harm then.
 */
export function tamed(thrown: unknown): Error {
  if (attempt(() => isTame(thrown))) return thrown as Error;
  return fromFailure(toFailure(thrown));
}

function isTame(thrown: unknown, above: readonly unknown[] = []): boolean {
  if (!(thrown instanceof Error) || above.includes(thrown) || above.length > MAX_DEPTH) return false;
  const { name, message, stack, cause } = thrown;
  // Read, so that a getter which throws does so here.
  void (thrown as { code?: unknown }).code;
  if (typeof name !== "string" || typeof message !== "string" || (stack !== undefined && typeof stack !== "string"))
    return false;
  const path = [...above, thrown];
  const errors = thrown instanceof AggregateError ? thrown.errors : [];
  if (!Array.isArray(errors) || errors.length > MAX_ERRORS) return false;
  return [cause, ...errors].every((one) => typeof one !== "object" || one === null || isTame(one, path));
}

/**
 * An error as data.
 *
 * Own enumerable properties travel as `data` as far as they are JSON (of at most 64 levels, and 16 million
 * characters in all), errors among them as failures. Something thrown that is no error becomes the message of one. Causes are kept to a depth of 8, each stack to 8,000
 * characters, each message to 32,000, 100 errors in all; an error that is its own cause is written down once.
 */
export function toFailure(thrown: unknown): Failure {
  const budget = { errors: MAX_ERRORS, data: MAX_DATA_LENGTH };
  return write(thrown, [], budget);
}

/** What one failure may still grow by. */
interface Budget {
  errors: number;
  /** Characters of `data`. */
  data: number;
}

function write(thrown: unknown, above: readonly unknown[], budget: Budget): Failure {
  budget.errors--;
  try {
    if (!isError(thrown)) return { name: "Error", code: "ERROR", message: cut(show(thrown)) };
    const path = [...above, thrown];
    const worthy = thrown.cause !== undefined && path.length <= MAX_DEPTH && !path.includes(thrown.cause);
    const cause = worthy && budget.errors > 0 ? write(thrown.cause, path, budget) : undefined;
    const data = toJson(
      thrown instanceof errors.RemoteError ? { ...thrown.data } : carried(thrown, path),
      path,
      budget,
    );
    const field = VALUE_FIELDS.get(thrown.name as string);
    const held = field && (thrown as Record<string, unknown>)[field];
    if (held !== undefined && typeof held !== "function" && typeof held !== "symbol")
      set(data, field!, fieldOf(held, data[field!]));
    const name = typeof thrown.name === "string" && thrown.name ? thrown.name : "Error";
    return {
      name,
      code: typeof thrown.code === "string" && thrown.code ? thrown.code : "ERROR",
      message: cut(thrown.message ? show(thrown.message) : name),
      ...(typeof thrown.stack === "string" ? { stack: thrown.stack.slice(0, MAX_STACK) } : {}),
      ...(Object.keys(data).length > 0 ? { data } : {}),
      ...(cause ? { cause } : {}),
    };
  } catch {
    // A getter, a proxy or a toJSON that throws. The failure must still be reported.
    return { name: "Error", code: "ERROR", message: "Something was thrown that cannot be read." };
  }
}

type ErrorLike = { name?: unknown; message?: unknown; stack?: unknown; code?: unknown; cause?: unknown };

/** Errors from another realm (node:vm, a test runner) are no `instanceof Error`. */
function isError(thrown: unknown): thrown is ErrorLike {
  if (thrown instanceof Error) return true;
  return typeof thrown === "object" && thrown !== null && "message" in thrown && typeof thrown.message === "string";
}

/** What an error carries besides the fields that a failure has a place for. */
function carried(error: ErrorLike, above: readonly unknown[]): Record<string, unknown> {
  const { name, message, stack, cause, code, ...own } = error;
  return {
    ...own,
    ...(typeof code === "number" ? { code } : {}),
    ...(error instanceof AggregateError && Array.isArray(error.errors)
      ? { errors: error.errors.filter((one) => !above.includes(one)).slice(0, MAX_ERRORS) }
      : {}),
  };
}

/** Fields of our own errors that hold values of users: they survive as all values do. Name of the class → field. */
const VALUE_FIELDS: ReadonlyMap<string, string> = new Map([
  ["DeclaredError", "data"],
  ["StepError", "input"],
]);

/** @param json - What is left of it, if it cannot be sent. */
function fieldOf(value: unknown, json: unknown): unknown {
  return attempt(() => encodeValue(value)) ?? encodeValue(json);
}

/** A JSON copy, as far as it goes: functions, symbols and circles are left out, errors written as failures. */
function toJson(value: Record<string, unknown>, path: readonly unknown[], budget: Budget): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    const json = attempt(() =>
      JSON.stringify(field, (_key, inner) => {
        if (typeof inner === "bigint") return String(inner);
        if (!(inner instanceof Error)) return inner;
        return path.includes(inner) || path.length > MAX_DEPTH || budget.errors <= 0
          ? undefined
          : write(inner, path, budget);
      }),
    );
    if (json === undefined || json.length > budget.data) continue;
    budget.data -= json.length;
    const parsed: unknown = JSON.parse(json);
    if (parsed !== undefined && !isDeeper(parsed, MAX_DATA_DEPTH)) set(copy, key, parsed);
  }
  return copy;
}

/** Characters of its message that are kept of an error that fits no message. */
const SHORT_MESSAGE = 10_000;

/** Returns what is kept of an error that is too large to be sent: its name, its code and the start of its message. */
export function shortened({ name, code, message }: Failure): Failure {
  const start = message.slice(0, SHORT_MESSAGE);
  return {
    name: name.slice(0, 200),
    code: code.slice(0, 200),
    message: `${start} (shortened: the error is too large to be sent)`,
  };
}

function show(thrown: unknown): string {
  if (typeof thrown === "string") return thrown || "an empty string was thrown";
  if (typeof thrown === "object" && thrown !== null) return attempt(() => JSON.stringify(thrown)) ?? "[object]";
  return String(thrown);
}

function cut(message: string): string {
  return message.length > MAX_MESSAGE ? message.slice(0, MAX_MESSAGE) : message;
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch {
    return undefined;
  }
}

/** The error that `toFailure` wrote down: of its own class where Stepstream knows it, else a RemoteError. */
export function fromFailure(failure: Failure): Error {
  const known = classOf(failure);
  const error = known ? rebuild(failure, known) : (aggregate(failure) ?? new errors.RemoteError(failure));
  hide(error, "stack", failure.stack);
  if (failure.cause) hide(error, "cause", fromFailure(failure.cause));
  return error;
}

function classOf({ name, code, data }: Failure): { prototype: Error } | undefined {
  if (name === "DeclaredError") return errors.DeclaredError;
  const own = OWN.get(code);
  // Our code under another name is a subclass we cannot know; without `detail` it is not from us.
  return own?.name === name && typeof data?.detail === "object" ? own : undefined;
}

/** Not by the constructor: that would write the message anew, from parts it was never given. */
function rebuild({ name, code, message, data }: Failure, known: { prototype: Error }): Error {
  const error = Object.setPrototypeOf(new Error(message), known.prototype) as Error;
  const field = VALUE_FIELDS.get(name);
  for (const [key, value] of Object.entries({ retry: "never", detail: {}, ...data }))
    set(error, key, key === field ? (attempt(() => decodeValue(value)) ?? value) : value);
  for (const [key, value] of Object.entries({ name, code })) set(error, key, value);
  hide(error, "message", message);
  return error;
}

/** What `Promise.any` and `w.any` throw. */
function aggregate({ name, message, data }: Failure): Error | undefined {
  const list = name === "AggregateError" ? z.array(Failure).safeParse(data?.errors) : undefined;
  if (!list?.success) return undefined;
  const error = new AggregateError(list.data.map(fromFailure), message);
  for (const [key, value] of Object.entries(data ?? {})) if (key !== "errors") set(error, key, value);
  return error;
}

/** Like assignment, but safe with a key such as `__proto__`. */
function set(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
function hide(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: false, configurable: true, writable: true });
}
