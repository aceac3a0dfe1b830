import { ForbiddenInWorkflowError } from "@stepstream/contracts";
import { frames } from "./frame.ts";
import { Rejections } from "./rejections.ts";

/**
 * The globals whose answers are in no history, inside workflow code: either they answer from the run
 * (time, chance) or they throw and say what to use instead. Everybody else in the process sees the
 * real ones. Put in place once, when the first coordinator starts.
 */
export function guardGlobals(): void {
  if (guarded) return;
  guarded = true;

  const RealDate = globalThis.Date;
  const realNow = RealDate.now;
  const now = () => frames.getStore()?.execution.now() ?? realNow();
  RealDate.now = now;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 && frames.getStore() ? [now()] : args, newTarget),
    apply: (target) => (frames.getStore() ? new target(now()).toString() : target()),
  });

  const realRandom = Math.random;
  Math.random = () => frames.getStore()?.execution.random() ?? realRandom();

  const realUuid = crypto.randomUUID.bind(crypto);
  crypto.randomUUID = () => (frames.getStore()?.execution.uuid() as ReturnType<typeof realUuid>) ?? realUuid();

  const realPerformanceNow = performance.now.bind(performance);
  performance.now = () => frames.getStore()?.execution.now() ?? realPerformanceNow();

  refuse(globalThis, "setTimeout", "w.sleep()");
  refuse(globalThis, "setInterval", "w.sleep() in a loop");
  refuse(globalThis, "setImmediate", "await Promise.resolve()");
  refuse(globalThis, "fetch", "a step");
  refuse(crypto, "getRandomValues", "w.random() or w.uuid()");
  refuse(AbortSignal, "timeout", "w.race() with w.sleep()");

  process.on("unhandledRejection", onUnhandledRejection);
  process.on("rejectionHandled", onRejectionHandled);
}

let guarded = false;

function refuse<T extends object>(owner: T, key: keyof T & string, instead: string): void {
  const real = owner[key] as (...args: unknown[]) => unknown;
  const guard = function (this: unknown, ...args: unknown[]): unknown {
    if (frames.getStore()) throw new ForbiddenInWorkflowError(`${key}()`, instead);
    return Reflect.apply(real, this, args);
  };
  // setTimeout carries a symbol for util.promisify; keep what is on it.
  Object.defineProperties(guard, Object.getOwnPropertyDescriptors(real));
  Object.defineProperty(owner, key, { value: guard, configurable: true, writable: true, enumerable: true });
}

/**
 * A rejection that nothing handles counts at the end of the workflow function. In other code it ends the process, as it
 * does without a coordinator.
 */
function onUnhandledRejection(reason: unknown, promise: Promise<unknown>): void {
  const frame = frames.getStore();
  // What only looks has changed nothing by failing.
  if (frame?.readOnly) return;
  if (frame) frame.rejections.unhandled(promise, reason);
  else if (process.listenerCount("unhandledRejection") === 1) {
    frames.exit(() =>
      process.nextTick(() => {
        throw reason;
      }),
    );
  }
}

/** Without a listener of its own, a process gets Node's warning. */
function onRejectionHandled(promise: Promise<unknown>): void {
  if (Rejections.handled(promise) || process.listenerCount("rejectionHandled") > 1) return;
  process.emitWarning("Promise rejection was handled asynchronously", "PromiseRejectionHandledWarning");
}
