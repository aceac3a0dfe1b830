import { backoffMs, exponential, type WorkflowContext } from "@stepstream/sdk";
import { callback, checkBackoff, duration, optionsOf, positiveInteger } from "./arguments.ts";
import type { RunExecution } from "./execution.ts";
import { frames, never } from "./frame.ts";
import type { Life } from "./life.ts";

/** From here on a workflow is told that it had better go on as new. */
const LONG_HISTORY = 20_000;
// The options of each call.
const WAIT = ["timeout", "where", "onTimeout"];
const TIMEOUT = ["timeout"];
const UPDATE = ["validate"];
const REPEAT = ["maxAttempts", "backoff"];
const CHILD = ["id", "onParentClose", "delay", "timeout", "trace"];
const MOST_AFTER_FAULT = 1_000;

/** `w`: what workflow code may ask a run for. */
export function createContext(run: RunExecution, life: Life): WorkflowContext {
  const { groups } = run;
  /** How often code of a run with a fault has asked for more. */
  let more = 0;
  /** Code that awaits what it gets is stopped by an answer that never comes; code that does not, by a throw. */
  const stop = (): Promise<never> => {
    if (run.fault && ++more > MOST_AFTER_FAULT) throw run.fault;
    return never();
  };
  /** A throw becomes a rejection, so that `w.run(…)` in a list of promises fails where it is awaited. */
  const ask = (what: string, fn: () => Promise<any>): Promise<any> => {
    if (run.asks(what)) return stop();
    try {
      return fn();
    } catch (error) {
      return Promise.reject(error);
    }
  };
  /** The same for calls that answer at once: the first throw ends a loop that has no `await` and catches nothing. */
  const say = (what: string, fn: () => any): any => {
    if (!run.asks(what) || !run.fault) return fn();
    if (more++ === 0) throw run.fault;
    return stop();
  };
  const w: WorkflowContext<any, any, any> = {
    runId: run.runId,
    get cancelled() {
      return life.cancelled;
    },
    get history() {
      return { length: life.length, continueSuggested: life.length >= LONG_HISTORY };
    },
    run: (step, input, options) => ask("w.run()", () => life.step(step, input, options)),
    all: (promises: any, options?: any) => ask("w.all()", () => groups.all(promises, options)),
    allSettled: (promises: any) => ask("w.allSettled()", () => groups.allSettled(promises)),
    race: (branches: any) => ask("w.race()", () => groups.race(branches)),
    any: (branches: any) => ask("w.any()", () => groups.any(branches)),
    map: (items, fn, options) => ask("w.map()", () => groups.map(items, fn, options)),
    sleep: (given) => ask("w.sleep()", () => life.timer(duration("duration of w.sleep()", given))),
    waitFor: (signal: string, options: any) =>
      ask("w.waitFor()", () => life.waitFor(signal, optionsOf("w.waitFor()", options, WAIT))),
    until: (condition, options) =>
      ask("w.until()", () => life.until(condition, optionsOf("w.until()", options, TIMEOUT).timeout)),
    onQuery: (query: string, handler: any) => say("w.onQuery()", () => life.onQuery(query, handler)),
    onUpdate: (update: string, handler: any, options: any) =>
      say("w.onUpdate()", () => life.onUpdate(update, handler, optionsOf("w.onUpdate()", options, UPDATE).validate)),
    child: (workflow, input, options) =>
      ask("w.child()", () => life.child(workflow, input, optionsOf("w.child()", options, CHILD))),
    scope: (fn, options) => {
      if (run.asks("w.scope()")) return Object.assign(stop(), { cancel() {} });
      return life.scope(fn, optionsOf("w.scope()", options, TIMEOUT).timeout);
    },
    uncancellable: (fn) => ask("w.uncancellable()", () => life.uncancellable(fn)),
    continueAsNew: (input) => ask("w.continueAsNew()", () => life.continueAsNew(input)) as Promise<never>,
    patched: (id) => say("w.patched()", () => life.patched(id)),
    get updatesInProgress() {
      return life.updates.inProgress;
    },
    sideEffect: (fn: () => any) => say("w.sideEffect()", () => life.sideEffect(fn)),
    now: () => run.now(),
    random: () => run.random(),
    uuid: () => run.uuid(),
    progress: (progress) => say("w.progress()", () => life.reportProgress(progress)),
    compensate: (step, input) => say("w.compensate()", () => life.addCompensation(step, input)),

    async repeatUntil(check, fix, options) {
      if (run.asks("w.repeatUntil()")) return stop();
      const read = optionsOf("w.repeatUntil()", options, REPEAT);
      const { maxAttempts, backoff = exponential({ initial: "1s" }) } = read;
      callback("check of w.repeatUntil()", check);
      callback("fix of w.repeatUntil()", fix);
      positiveInteger("maxAttempts of w.repeatUntil()", maxAttempts);
      checkBackoff("backoff of w.repeatUntil()", backoff);
      for (let attempt = 1; ; attempt++) {
        let failure: unknown;
        try {
          const result = await check(attempt);
          if (result !== false) return result as any;
        } catch (error) {
          failure = error;
        }
        const given = frames.getStore()?.scope.cancelled;
        if (given) throw failure ?? given;
        if (attempt >= maxAttempts!) throw failure ?? new Error(`The check did not pass in ${maxAttempts} attempts.`);
        await w.sleep(backoffMs(attempt, backoff, run.random()));
        await fix(failure, attempt);
      }
    },
  };
  return Object.freeze(w);
}
