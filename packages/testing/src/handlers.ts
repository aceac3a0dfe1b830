import { checkDefinition, checkFunction, type Duration, durationMs } from "@stepstream/contracts";
import type { Clock } from "@stepstream/event-log";
import type { AnyStep, HandlerInput, HandlerOutput, Literally, WrongHandlerOutput } from "@stepstream/sdk";
import type { StepContext, Worker } from "@stepstream/step-worker";
import type { Chance } from "./chance.ts";

/** What a handler has in a test besides the worker's context: time and chance that a seed repeats. */
export interface Virtual {
  /** The clock of the worker's process: dies with it, and stands still while it is frozen. */
  readonly clock: Clock;
  readonly chance: Chance;
  /** So much virtual time; costs no real time. Rejects with the reason of `signal` (default: the context's own). */
  sleep(duration: Duration, signal?: AbortSignal): Promise<void>;
}

export type TestContext<S = AnyStep> = StepContext<S> & Virtual;

/** A handler of production fits as well: it asks for less. */
export type TestHandler<S> = (
  input: HandlerInput<S>,
  context: TestContext<S>,
) => Promise<HandlerOutput<S>> | HandlerOutput<S>;

/** See `AsyncHandler` of the worker. */
export type AsyncTestHandler<S> = (input: HandlerInput<S>, context: TestContext<S>) => Literally<HandlerOutput<S>>;

/** A step and what does it: the same that a module of the worker program exports. */
export interface Handled {
  readonly step: AnyStep;
  readonly handler: (input: any, context: any) => unknown;
}

/** Steps and what does them, as a list, or as a function of the worker: `(worker) => worker.handle(charge, …)`. */
export type Handlers = readonly Handled[] | ((worker: Pick<Worker, "handle">) => unknown);

/**
 * A step and its handler, typed.
 * @example steps: [handle(charge, async (input, ctx) => ({ receipt: `r-${ctx.idempotencyKey}` }))]
 */
export function handle<S extends AnyStep>(step: S, handler: NoInfer<AsyncTestHandler<S>>): Handled;
export function handle<S extends AnyStep>(step: S, handler: NoInfer<TestHandler<S>>): Handled;
/** For the compiler's message alone: no call fits it. */
export function handle<S extends AnyStep, const R>(
  this: WrongHandlerOutput<Awaited<R>, HandlerOutput<S>>,
  step: S,
  handler: (input: HandlerInput<S>, context: TestContext<S>) => R,
): Handled;
export function handle(this: unknown, step: AnyStep, handler: Handled["handler"]): Handled {
  return { step, handler };
}

/** @throws {RangeError} A step has two handlers. */
export function listHandlers(handlers: Handlers): Map<string, Handled> {
  const found = new Map<string, Handled>();
  const add = (step: AnyStep, handler: Handled["handler"]) => {
    checkDefinition("step", "step of a handler", step);
    checkFunction(`handler of step "${step.name}"`, handler);
    if (found.has(step.name)) throw new RangeError(`Step "${step.name}" has two handlers.`);
    found.set(step.name, { step, handler });
  };
  if (typeof handlers === "function") {
    const collector = {
      handle(step: AnyStep, handler: Handled["handler"]) {
        add(step, handler);
        return collector as unknown as Worker;
      },
    };
    handlers(collector);
  } else for (const { step, handler } of handlers) add(step, handler);
  return found;
}

/** The step as it runs in virtual time: circuit breakers keep real time, and are left out. */
export function withoutBreaker(step: AnyStep): AnyStep {
  return step.breaker ? { ...step, breaker: undefined } : step;
}

/** Adds virtual time and chance to a worker's context. */
export function virtually(context: StepContext<any>, clock: Clock, chance: Chance): TestContext<any> {
  const sleep = (duration: Duration, signal: AbortSignal = context.signal) =>
    sleepOn(clock, durationMs(duration), signal);
  return Object.assign(context, { clock, chance, sleep });
}

function sleepOn(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clock.clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = clock.setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}
