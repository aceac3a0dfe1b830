import { durationMs } from "@stepstream/contracts";
import { backoffMs, exponential, type WorkflowContext } from "@stepstream/sdk";
import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";
import type { Life } from "./life.ts";

/** From here on a workflow is told that it had better go on as new. */
const LONG_HISTORY = 20_000;

/** `w`: what workflow code may ask a run for. */
export function createContext(run: RunExecution, life: Life, cancelled: AbortSignal): WorkflowContext {
  const { groups } = run;
  const w: WorkflowContext<any, any, any> = {
    runId: run.runId,
    cancelled,
    get history() {
      return { length: life.length, continueSuggested: life.length >= LONG_HISTORY };
    },
    run: (step, input, options) => attempt(() => life.step(step, input, options)) as Promise<any>,
    all: (promises: any, options?: any) => groups.all(promises, options),
    allSettled: (promises: any) => groups.allSettled(promises),
    race: (branches: any) => groups.race(branches),
    any: (branches: any) => groups.any(branches),
    map: (items, fn, options) => groups.map(items, fn, options),
    sleep: (duration) => attempt(() => life.timer(durationMs(duration))) as Promise<any>,
    waitFor: (signal: string, options: any) => attempt(() => life.waitFor(signal, options ?? {})) as Promise<any>,
    until: (condition, options) => attempt(() => life.until(condition, options?.timeout)),
    onQuery: (query, handler) => life.onQuery(query, handler),
    onUpdate: (update, handler, options) => life.onUpdate(update, handler, options?.validate),
    child: (workflow, input, options = {}) => attempt(() => life.child(workflow, input, options)) as Promise<any>,
    scope: (fn, options) => life.scope(fn, options?.timeout),
    uncancellable: (fn) => life.uncancellable(fn),
    continueAsNew: (input) => attempt(() => life.continueAsNew(input)),
    patched: (id) => life.patched(id),
    get updatesInProgress() {
      return life.updates.inProgress;
    },
    sideEffect: (fn: () => any) => life.sideEffect(fn),
    now: () => run.now(),
    random: () => run.random(),
    uuid: () => run.uuid(),
    progress: (progress) => life.reportProgress(progress),
    compensate: (step, input) => life.addCompensation(step, input),

    async repeatUntil(check, fix, { maxAttempts, backoff = exponential({ initial: "1s" }) }) {
      if (!Number.isInteger(maxAttempts) || maxAttempts < 1)
        throw new RangeError(`w.repeatUntil: maxAttempts is a whole number from 1, not ${maxAttempts}.`);
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
        if (attempt >= maxAttempts) throw failure ?? new Error(`The check did not pass in ${maxAttempts} attempts.`);
        await w.sleep(backoffMs(attempt, backoff, run.random()));
        await fix(failure, attempt);
      }
    },
  };
  return Object.freeze(w);
}

/** A throw as a rejection, so that `w.run(…)` in a list of promises fails where it is awaited. */
function attempt<T>(fn: () => Promise<T>): Promise<T> {
  try {
    return fn();
  } catch (error) {
    return Promise.reject(error);
  }
}
