import type { GroupOptions } from "@stepstream/sdk";
import { frames, Scope } from "./frame.ts";

/**
 * Several things at once. All of it is plain promise code, so it is as deterministic as what it waits
 * for. What a group gives up is cancelled, as far as the run handed it out (`slotsOf`).
 */
export class Groups {
  readonly #slotsOf = new WeakMap<object, Set<number>>();
  readonly #cancel: (slots: Iterable<number>, reason: string) => void;

  /** @param cancel - Cancels those of the slots that are open. */
  constructor(cancel: (slots: Iterable<number>, reason: string) => void) {
    this.#cancel = cancel;
  }

  /** Remembers which slots a promise stands for. */
  own<P extends Promise<unknown>>(promise: P, slots: Set<number>): P {
    this.#slotsOf.set(promise, slots);
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
        else this.#cancel(this.#slots(list), "another of the group failed");
        throw error;
      }
    })();
    return this.own(group, this.#slots(list));
  }

  allSettled(promises: readonly unknown[] | Record<string, unknown>): Promise<any> {
    const list = Object.values(promises);
    const group = Promise.allSettled(list).then((results) => reshape(promises, results));
    return this.own(group, this.#slots(list));
  }

  race(promises: readonly unknown[]): Promise<any> {
    const slots = this.#slots(promises);
    return this.own(
      Promise.race(promises).finally(() => this.#cancel(slots, "lost a race")),
      slots,
    );
  }

  any(promises: readonly unknown[]): Promise<any> {
    const slots = this.#slots(promises);
    return this.own(
      Promise.any(promises).finally(() => this.#cancel(slots, "lost a race")),
      slots,
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
        else this.#cancel(scope.slots, "another of the group failed");
        throw error;
      }
    })();
    return this.own(group, scope.slots);
  }

  #slots(promises: readonly unknown[]): Set<number> {
    const slots = new Set<number>();
    for (const promise of promises) {
      if (typeof promise !== "object" || promise === null) continue;
      for (const slot of this.#slotsOf.get(promise) ?? []) slots.add(slot);
    }
    return slots;
  }
}

/** The results in the shape of what was asked for: a list or a record. */
function reshape(shape: readonly unknown[] | Record<string, unknown>, results: unknown[]): unknown {
  if (Array.isArray(shape)) return results;
  return Object.fromEntries(Object.keys(shape).map((key, i) => [key, results[i]]));
}
