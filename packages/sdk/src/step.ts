import {
  checkBackoff,
  checkCode,
  checkDuration,
  checkFunction,
  checkKeys,
  checkName,
  checkObject,
  checkSchema,
  checkWhole,
  type Duration,
  durationMs,
  type RetryPolicy,
  TIMER,
  type TimeoutPolicy,
} from "@stepstream/contracts";
import { z } from "zod";
import { type Backoff, DEFAULT_RETRY } from "./backoff.ts";

type Schema = z.ZodType;
/** Error code → schema of what the error carries. */
export type ErrorSchemas = Record<string, Schema>;

/** A typed unit of work: what goes in, what comes out, how it may go wrong. */
export interface Step<I extends Schema = Schema, O extends Schema = Schema, E extends ErrorSchemas = ErrorSchemas> {
  readonly kind: "step";
  readonly name: string;
  readonly input: I;
  readonly output: O;
  readonly errors: E;
  readonly retry: RetryPolicy;
  /** Which errors are worth another attempt. Declared errors never are. */
  readonly retryIf: ((error: Error, attempt: number) => boolean) | undefined;
  readonly timeout: TimeoutPolicy;
  readonly heartbeatMs: number | undefined;
  readonly concurrency: number;
  readonly breaker: BreakerPolicy | undefined;
}

export interface BreakerPolicy {
  /** Steps of one worker that name the same breaker share it. */
  name: string;
  /** Opens after so many failed attempts in a row. */
  failures: number;
  /** Stays open so long, then lets one attempt through. */
  cooldownMs: number;
}

export type AnyStep = Step<any, any, any>;
/** What a caller passes in. */
export type StepInput<S> = S extends Step<infer I, any, any> ? z.input<I> : never;
/** What a caller gets back. */
export type StepOutput<S> = S extends Step<any, infer O, any> ? z.output<O> : never;
/** What a handler is given. */
export type HandlerInput<S> = S extends Step<infer I, any, any> ? z.output<I> : never;
/** What a handler returns. */
export type HandlerOutput<S> = S extends Step<any, infer O, any> ? z.input<O> : never;
/**
 * A promise, in a form that makes the compiler keep literals: without it `async () => "a"` is a `Promise<string>`,
 * which is no `Promise<"a" | "b">`.
 */
export type Literally<T> = Promise<T> | (T & Promise<T>);
/**
 * In a compiler's message: one place where an output does not fit its schema, instead of both types, which are long.
 * `never` if none is found.
 */
export type Misfit<Given, Wanted> = One<Misfits<Given, Wanted, "", [1, 1, 1, 1]>>;

/** All places; `Depth` has an element for each level that is still looked at. */
type Misfits<G, W, At extends string, Depth extends unknown[]> = [G] extends [Frozen<W>]
  ? never
  : Depth extends [unknown, ...infer Less]
    ? [G, W] extends [readonly (infer GivenItem)[], readonly (infer WantedItem)[]]
      ? Else<Misfits<GivenItem, WantedItem, `${At}[]`, Less>, Named<At>>
      : [G] extends [object]
        ? [W] extends [Fields]
          ? (string extends keyof W ? true : IsUnion<W>) extends true
            ? Named<At>
            : Else<FieldMisfits<G, W, At, Less>, Named<At>>
          : Named<At>
        : Named<At>
    : Named<At>;
type FieldMisfits<G, W, At extends string, Depth extends unknown[]> = {
  [K in keyof W & string]-?: K extends keyof G
    ? Misfits<G[K], W[K], At extends "" ? K : `${At}.${K}`, Depth>
    : undefined extends W[K]
      ? never
      : Named<At extends "" ? K : `${At}.${K}`>;
}[keyof W & string];
/** Not its parts, so the whole: a tuple of another length. */
type Else<Parts, Whole> = [Parts] extends [never] ? Whole : Parts;
type Named<At extends string> = At extends "" ? "wrong type" : At;

/** What has fields to compare; dates, functions and lists are compared as a whole. */
type Fields = { readonly [key: string]: unknown };
/** As `const` type parameters infer it. */
type Frozen<T, Depth extends unknown[] = [1, 1, 1, 1, 1]> = Depth extends [unknown, ...infer Less]
  ? T extends Fields | readonly unknown[]
    ? { readonly [K in keyof T]: Frozen<T[K], Less> }
    : T
  : T;
type IsUnion<T, One = T> = T extends unknown ? ([One] extends [T] ? false : true) : never;
/** One member of a union of texts. */
type One<T> = (T extends unknown ? (f: () => T) => void : never) extends (f: infer F) => void
  ? F extends () => infer Last
    ? Last
    : never
  : never;
/** What the compiler says of a handler that fits no other form: what it returns does not fit, or else something else. */
export type WrongOutput<Given, Wanted, Of extends string, Right = string> = [Misfit<Given, Wanted>] extends [never]
  ? Right
  : `The ${Of}'s output does not fit: ${Misfit<Given, Wanted>}`;
/** What a function is still compared with: nothing, if its output has been found not to fit. */
export type IfFits<Given, Wanted, Right> = [Misfit<Given, Wanted>] extends [never] ? Right : unknown;
export type WrongHandlerOutput<Given, Wanted> = [Misfit<Given, Wanted>] extends [never]
  ? "The step or its handler is wrong."
  : WrongOutput<Given, Wanted, "handler">;
/** The declared errors: code → data. */
export type StepErrors<S> =
  S extends Step<any, any, infer E> ? { [K in keyof E]: E[K] extends Schema ? z.input<E[K]> : never } : never;

export interface StepDefinition<I extends Schema, O extends Schema, E extends ErrorSchemas> {
  /** Checked by the caller and by the worker. The value travels as it was given; each side applies transforms. */
  input: I;
  /** Checked by the worker and by the run. */
  output: O;
  /** Typed, final errors: never retried. */
  errors?: E;
  retry?: {
    /** Attempts in all, the first included. Default 5. */
    maxAttempts?: number;
    /** Default `exponential()`: 200 ms, doubling, at most 30 s, full jitter. */
    backoff?: Backoff;
    /** Is this error worth another attempt? Default: all but those that say "never". A throw counts as no. */
    retryIf?: (error: Error, attempt: number) => boolean;
  };
  timeout?: {
    /** One attempt, from the call of the handler; its `ctx.signal` aborts. Default "5m". */
    attempt?: Duration;
    /** The whole step with all attempts and waits. Default "24h". */
    total?: Duration;
    /** Until a worker first picks it up. Default: as `total`. */
    queue?: Duration;
  };
  /**
   * Longest silence of a running attempt before it counts as lost and goes to another worker. If set, the
   * handler calls `ctx.heartbeat()` more often than that; else the worker does so as long as it lives (10 s).
   */
  heartbeat?: Duration;
  /** Attempts at a time in one worker process. Default 50. */
  concurrency?: number;
  /** A circuit breaker round the handler. Default: none. */
  breaker?: { failures: number; cooldown: Duration; name?: string };
}

const KEYS = ["input", "output", "errors", "retry", "timeout", "heartbeat", "concurrency", "breaker"];

/**
 * Defines a step. Workers `handle` it, workflows `run` it.
 *
 * @param name - One token of the bus: A-Z a-z 0-9 _ -. Also the name of its queue.
 * @throws {RangeError} A name, schema, duration or number that makes no sense.
 */
export function step<I extends Schema, O extends Schema, E extends ErrorSchemas = Record<never, never>>(
  name: string,
  definition: StepDefinition<I, O, E>,
): Step<I, O, E> {
  checkName("name of a step", name);
  const of = `of step "${name}"`;
  checkObject(`definition ${of}`, definition);
  checkKeys(of, definition, KEYS);
  const { retry = {}, timeout = {}, errors = {} as E, breaker, heartbeat, concurrency = 50 } = definition;
  checkSchema(`input ${of}`, definition.input);
  checkSchema(`output ${of}`, definition.output);
  checkObject(`errors ${of}`, errors);
  for (const [code, schema] of Object.entries(errors)) {
    checkCode(`code of an error ${of}`, code);
    checkSchema(`error ${code} ${of}`, schema);
  }
  checkOptions(of, { retry, timeout });
  checkWhole(`concurrency ${of}`, concurrency);
  if (breaker !== undefined) {
    checkObject(`breaker ${of}`, breaker);
    checkKeys(`of breaker ${of}`, breaker, ["failures", "cooldown", "name"]);
    checkName(`breaker.name ${of}`, breaker.name ?? name);
    checkWhole(`breaker.failures ${of}`, breaker.failures);
  }
  const maxAttempts = retry.maxAttempts ?? DEFAULT_RETRY.maxAttempts;
  return Object.freeze({
    kind: "step",
    name,
    input: definition.input,
    output: definition.output,
    errors,
    retry: { ...DEFAULT_RETRY, ...retry.backoff, maxAttempts },
    retryIf: retry.retryIf,
    timeout: {
      attemptMs: durationMs(timeout.attempt ?? "5m"),
      totalMs: durationMs(timeout.total ?? "24h"),
      ...(timeout.queue === undefined ? {} : { queueMs: durationMs(timeout.queue) }),
    },
    heartbeatMs: heartbeat === undefined ? undefined : checkDuration(`heartbeat ${of}`, heartbeat, TIMER),
    concurrency,
    breaker: breaker && {
      name: breaker.name ?? name,
      failures: breaker.failures,
      cooldownMs: checkDuration(`breaker.cooldown ${of}`, breaker.cooldown, TIMER),
    },
  });
}

interface Instead {
  retry?: StepDefinition<any, any, any>["retry"] | undefined;
  timeout?: StepDefinition<any, any, any>["timeout"] | undefined;
}

/**
 * What a step says of retries and time-outs, with what is said instead.
 * @throws {RangeError} A number or duration that makes no sense.
 */
export function policiesOf(
  { name, retry, timeout }: AnyStep,
  instead: Instead,
): { retry: RetryPolicy; timeout: TimeoutPolicy } {
  if (instead.retry !== undefined || instead.timeout !== undefined) checkOptions(`of step "${name}"`, instead);
  const { maxAttempts, backoff } = instead.retry ?? {};
  const { attempt, total, queue } = instead.timeout ?? {};
  return {
    retry: { ...retry, ...(maxAttempts === undefined ? {} : { maxAttempts }), ...backoff },
    timeout: {
      ...timeout,
      ...(attempt === undefined ? {} : { attemptMs: durationMs(attempt) }),
      ...(total === undefined ? {} : { totalMs: durationMs(total) }),
      ...(queue === undefined ? {} : { queueMs: durationMs(queue) }),
    },
  };
}

/** @throws {RangeError} */
function checkOptions(of: string, options: Instead): void {
  const { retry = {}, timeout = {} } = options;
  checkObject(`retry ${of}`, retry);
  checkObject(`timeout ${of}`, timeout);
  checkKeys(`of retry ${of}`, retry, ["maxAttempts", "backoff", "retryIf"]);
  checkKeys(`of timeout ${of}`, timeout, ["attempt", "total", "queue"]);
  if (retry.maxAttempts !== undefined) checkWhole(`retry.maxAttempts ${of}`, retry.maxAttempts);
  if (retry.backoff !== undefined) checkBackoff("retry.backoff", retry.backoff, of);
  if (retry.retryIf !== undefined) checkFunction(`retry.retryIf ${of}`, retry.retryIf);
  for (const clock of ["attempt", "total", "queue"] as const)
    if (timeout[clock] !== undefined) checkDuration(`timeout.${clock} ${of}`, timeout[clock], { min: 1 });
}

/** For a step without input or output. */
export const nothing = z.void();
