import { WorkflowCancelledError } from "@stepstream/contracts";
import type { GroupOptions } from "@stepstream/sdk";
import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";
import { Scope } from "./scope.ts";
import type { Wait } from "./waits.ts";

/** What a promise that the run handed out stands for, so that it can be given up. */
type Part = { readonly slot: number } | { readonly wait: Wait } | { readonly scope: Scope };

/**
 * Several things at once. All of it is plain promise code, so it is as deterministic as what it waits
 * for. What a group gives up is cancelled, as far as the run handed it out.
 */
export class Groups {
  readonly #partsOf = new WeakMap<object, readonly Part[]>();
  readonly #run: RunExecution;

  constructor(run: RunExecution) {
    this.#run = run;
  }

  /** Remembers what a promise stands for. */
  own<P extends Promise<unknown>>(promise: P, ...parts: Part[]): P {
    this.#partsOf.set(promise, parts);
    return promise;
  }

  all(
    promises: readonly unknown[] | Record<string, unknown>,
    { onFailure = "cancel" }: GroupOptions = {},
  ): Promise<any> {
    const list = Object.values(promises);
    const group = (async () => {
      try {
        return reshape(promises, await Promise.all(list));
      } catch (error) {
        if (onFailure === "await") await Promise.allSettled(list);
        else this.#giveUp(this.#parts(list), "another of the group failed");
        throw error;
      }
    })();
    return this.own(group, ...this.#parts(list));
  }

  allSettled(promises: readonly unknown[] | Record<string, unknown>): Promise<any> {
    const list = Object.values(promises);
    const group = Promise.allSettled(list).then((results) => reshape(promises, results));
    return this.own(group, ...this.#parts(list));
  }

  race(promises: readonly unknown[]): Promise<any> {
    return this.#first(Promise.race(promises), promises);
  }

  any(promises: readonly unknown[]): Promise<any> {
    return this.#first(Promise.any(promises), promises);
  }

  #first(winner: Promise<any>, promises: readonly unknown[]): Promise<any> {
    const parts = this.#parts(promises);
    return this.own(
      winner.finally(() => this.#giveUp(parts, "lost a race")),
      ...parts,
    );
  }

  map<T, R>(
    items: readonly T[],
    fn: (item: T, index: number) => Promise<R>,
    { concurrency = 10, onFailure = "cancel" }: GroupOptions & { concurrency?: number } = {},
  ): Promise<R[]> {
    if (!Number.isInteger(concurrency) || concurrency < 1)
      throw new RangeError(`w.map: concurrency is a whole number from 1, not ${concurrency}.`);
    const frame = frames.getStore()!;
    const scope = new Scope(frame.scope);
    const results = new Array<R>(items.length);
    let next = 0;
    let failed = false;
    const lane = async () => {
      while (next < items.length && !failed) {
        const index = next++;
        try {
          results[index] = await frames.run({ ...frame, scope }, fn, items[index]!, index);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const lanes = Array.from({ length: Math.min(concurrency, items.length) }, lane);
    const group = (async () => {
      try {
        await Promise.all(lanes);
        return results;
      } catch (error) {
        if (onFailure === "await") await Promise.allSettled(lanes);
        else this.#giveUp([{ scope }], "another of the group failed");
        throw error;
      }
    })();
    return this.own(group, { scope });
  }

  #parts(promises: readonly unknown[]): Part[] {
    return promises.flatMap((promise) =>
      typeof promise === "object" && promise !== null ? (this.#partsOf.get(promise) ?? []) : [],
    );
  }

  /** One event says it of all slots. */
  #giveUp(parts: readonly Part[], why: string): void {
    const { life, runId } = this.#run;
    const reason = new WorkflowCancelledError(runId, why);
    const scopes = parts.flatMap((part) => ("scope" in part && part.scope.mark(reason) ? [part.scope] : []));
    const slots = parts.flatMap((part) => ("slot" in part ? [part.slot] : []));
    this.#run.cancelSlots([...slots, ...scopes.flatMap((scope) => [...scope.slots])], reason);
    for (const part of parts) if ("wait" in part) life?.waits.reject(part.wait, reason);
    for (const scope of scopes) life?.waits.cancel(scope, reason);
  }
}

/** The results in the shape of what was asked for: a list or a record. */
function reshape(shape: readonly unknown[] | Record<string, unknown>, results: unknown[]): unknown {
  if (Array.isArray(shape)) return results;
  return Object.fromEntries(Object.keys(shape).map((key, i) => [key, results[i]]));
}
