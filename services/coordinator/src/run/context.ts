import { durationMs } from "@stepstream/contracts";
import { backoffMs, exponential, type WorkflowContext } from "@stepstream/sdk";
import type { RunExecution } from "./execution.ts";

/** `w`: what workflow code may ask a run for. */
export function createContext(run: RunExecution, cancelled: AbortSignal): WorkflowContext {
  const { groups } = run;
  const w: WorkflowContext = {
    runId: run.runId,
    cancelled,
    run: (step, input, options) => attempt(() => run.runStep(step, input, options)) as Promise<any>,
    all: (promises: any, options?: any) => groups.all(promises, options),
    allSettled: (promises: any) => groups.allSettled(promises),
    race: (promises) => groups.race(promises as readonly unknown[]),
    any: (promises) => groups.any(promises as readonly unknown[]),
    map: (items, fn, options) => groups.map(items, fn, options),
    sleep: (duration) => attempt(() => run.startTimer(durationMs(duration))) as Promise<any>,
    now: () => run.now(),
    random: () => run.random(),
    uuid: () => run.uuid(),
    progress: (progress) => run.reportProgress(progress),
    compensate: (step, input) => run.addCompensation(step, input),

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
        if (run.cancelRequest) throw failure ?? cancelled.reason;
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
