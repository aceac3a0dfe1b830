import { UntrackedBranchError, WorkflowCancelledError } from "@stepstream/contracts";
import type { GroupOptions } from "@stepstream/sdk";
import { callback, invalid, list, listOrRecord, oneOf, optionsOf, positiveInteger } from "./arguments.ts";
import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";
import { markCancelReason } from "./rejections.ts";
import { Scope } from "./scope.ts";
import type { Wait } from "./waits.ts";

const ALL = ["onFailure"];
const MAP = ["onFailure", "concurrency"];

/** What a promise that the run handed out stands for, so that it can be given up. */
type Part = { readonly slot: number } | { readonly wait: Wait } | { readonly scope: Scope };

/** One of several things at once. */
interface Branch {
  readonly name: string | number;
  /** A promise, or a plain value. */
  readonly value: unknown;
  readonly parts: readonly Part[];
  /** A promise that the run knows nothing about: of an async function, of `Promise.all`. */
  readonly opaque: boolean;
}

/** Makes a constructor return an object that is there already, which then gets the private fields of its class. */
const Same = function Same(object: object) {
  return object;
} as unknown as new (
  object: object,
) => object;

/** A promise that stands for parts, in a private field that no code sees: cheaper than an entry in a WeakMap. */
class Owned extends Same {
  #parts: readonly Part[] = [];

  static mark(promise: object, parts: readonly Part[]): void {
    const owned: Owned = #parts in promise ? (promise as Owned) : new Owned(promise);
    owned.#parts = parts;
  }

  static partsOf(value: object): readonly Part[] | undefined {
    return #parts in value ? (value as Owned).#parts : undefined;
  }
}

/** What `w.race`, `w.all` and so on are given: a list or a record of promises, or of functions that make them. */
type Given = readonly unknown[] | Record<string, unknown>;

/**
 * Several things at once. All of it is plain promise code, so it is as deterministic as what it waits for.
 *
 * G1. What a group gives up is cancelled: promises that the run handed out, promises made of them by `then`, `catch` and
 *     `finally`, and whatever a branch that is given as a function has asked for.
 * G2. A branch of `w.race` or `w.any` that cannot be cancelled, and may hold a wait for a signal, is refused: that wait
 *     would take a signal which no code reads.
 *
 * G1 is asserted for the slots of each group that gives up ("groups G1").
 *
 * Checked elsewhere:
 *   G2  races.test.ts: an async branch that nobody can cancel is refused
 */
export class Groups {
  readonly #run: RunExecution;
  readonly #then: PromiseLike<unknown>["then"];
  /** Set while a group itself subscribes to its branches. */
  #subscribing = false;

  constructor(run: RunExecution) {
    this.#run = run;
    const groups = this;
    this.#then = function (this: Promise<unknown>, onFulfilled?: any, onRejected?: any) {
      return groups.#follow(this, onFulfilled, onRejected);
    } as PromiseLike<unknown>["then"];
  }

  /** Remembers what a promise stands for; promises made of it stand for the same. */
  own<P extends Promise<unknown>>(promise: P, ...parts: Part[]): P {
    Owned.mark(promise, parts);
    // Assigned, not defined: that is measurably faster, and done for each thing that a workflow asks for.
    // biome-ignore lint/suspicious/noThenProperty: a promise has one anyway.
    (promise as { then: unknown }).then = this.#then;
    return promise;
  }

  /** What `then` does to a promise of the run. Its callbacks run in a scope of their own, to be cancelled with it. */
  #follow(promise: Promise<unknown>, onFulfilled: unknown, onRejected: unknown): Promise<unknown> {
    // What a group subscribes with is not seen by the workflow.
    if (this.#subscribing) return nativeThen.call(promise, onFulfilled as any, onRejected as any);
    const then = () => nativeThen.call(promise, onFulfilled as any, onRejected as any);
    const frame = frames.getStore();
    const parts = Owned.partsOf(promise) ?? [];
    const callback = [onFulfilled, onRejected].some((fn) => typeof fn === "function" && !isNative(fn));
    if (!callback || frame?.execution !== this.#run) return this.own(then(), ...parts);
    for (const part of parts) if ("wait" in part) part.wait.followed = true;
    const scope = new Scope(frame.scope);
    return this.own(frames.run({ ...frame, scope }, then), ...parts, { scope });
  }

  all(given: Given, options?: GroupOptions): Promise<any> {
    const onFailure = onFailureOf("w.all()", optionsOf("w.all()", options, ALL));
    const branches = this.#start("w.all()", given);
    const parts = partsOf(branches);
    const mark = this.#waitsBefore();
    const values = branches.map(({ value }) => value);
    const results = this.#subscribe(() => Promise.all(values));
    const group = (async () => {
      try {
        return reshape(given, await results);
      } catch (error) {
        if (onFailure === "await") await this.#subscribe(() => Promise.allSettled(values));
        else {
          this.#giveUp(parts, "another of the group failed");
          this.#checkOpaque("w.all()", branches, mark, error);
        }
        throw error;
      }
    })();
    return this.own(group, ...parts);
  }

  allSettled(given: Given): Promise<any> {
    const branches = this.#start("w.allSettled()", given);
    const settled = this.#subscribe(() => Promise.allSettled(branches.map(({ value }) => value)));
    return this.own(
      settled.then((results) => reshape(given, results)),
      ...partsOf(branches),
    );
  }

  /** @throws {RangeError} Of nothing: it would wait for ever, like `Promise.race([])`. */
  race(given: Given): Promise<any> {
    return this.#first("w.race()", given, (values) => {
      if (values.length === 0) throw invalid("branches of w.race()", given, "at least one");
      return Promise.race(values);
    });
  }

  any(given: Given): Promise<any> {
    return this.#first("w.any()", given, (values) => Promise.any(values));
  }

  #first(group: string, given: Given, first: (values: unknown[]) => Promise<any>): Promise<any> {
    const mark = this.#waitsBefore();
    const branches = this.#start(group, given);
    const parts = partsOf(branches);
    try {
      this.#checkOpaque(group, branches, mark);
    } catch (error) {
      this.#giveUp(parts, "its group was refused");
      for (const { value } of branches) Promise.resolve(value).catch(() => {});
      return Promise.reject(error);
    }
    const settled = new Set<unknown>();
    const winner = this.#subscribe(() => {
      for (const { value, opaque } of branches)
        if (opaque) {
          const over = () => settled.add(value);
          (value as Promise<unknown>).then(over, over);
        }
      return first(branches.map((branch) => (Array.isArray(given) ? branch.value : named(branch))));
    });
    const result = winner.finally(() => {
      this.#giveUp(parts, "lost a race");
      this.#checkOpaque(
        group,
        branches.filter(({ value }) => !settled.has(value)),
        mark,
      );
    });
    return this.own(result, ...parts);
  }

  map<T, R>(
    items: readonly T[],
    fn: (item: T, index: number) => Promise<R>,
    options?: GroupOptions & { concurrency?: number },
  ): Promise<R[]> {
    list("items of w.map()", items);
    callback("function of w.map()", fn);
    const read = optionsOf("w.map()", options, MAP);
    const { concurrency = 10 } = read;
    positiveInteger("concurrency of w.map()", concurrency);
    const onFailure = onFailureOf("w.map()", read);
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

  /** Functions are called, each in a scope of its own; promises have been begun already. */
  #start(group: string, given: Given): Branch[] {
    listOrRecord(`branches of ${group}`, given);
    const frame = frames.getStore();
    const branch = (name: string | number, value: unknown): Branch => {
      if (typeof value === "function" && frame) {
        const scope = new Scope(frame.scope);
        const promise = frames.run({ ...frame, scope }, async () => value());
        return { name, value: promise, parts: [{ scope }], opaque: false };
      }
      const isPromise = typeof value === "object" && value !== null && "then" in value;
      const parts = isPromise ? Owned.partsOf(value) : undefined;
      return { name, value, parts: parts ?? NO_PARTS, opaque: isPromise && !parts && value instanceof Promise };
    };
    if (Array.isArray(given)) return Array.from(given, (value, index) => branch(index, value));
    return Object.entries(given).map(([name, value]) => branch(name, value));
  }

  #subscribe<T>(subscribe: () => T): T {
    const before = this.#subscribing;
    this.#subscribing = true;
    try {
      return subscribe();
    } finally {
      this.#subscribing = before;
    }
  }

  /** The number of the last wait that was begun before this turn: what came since may be a branch's. */
  #waitsBefore(): number {
    return this.#run.life?.waits.before ?? 0;
  }

  /**
   * For G2: is there a wait for a signal that a branch nobody can cancel may hold: begun since, in this scope, in no known
   * branch, and with no callback of the workflow's own?
   * @throws {UntrackedBranchError}
   */
  #checkOpaque(group: string, branches: readonly Branch[], since: number, cause?: unknown): void {
    if (!branches.some(({ opaque }) => opaque)) return;
    const { life, runId } = this.#run;
    const here = frames.getStore()?.scope ?? life?.root;
    if (!life || !here) return;
    const known = partsOf(branches);
    const suspects = [...life.waits.open].filter(
      (wait) =>
        wait.signal !== undefined &&
        wait.number > since &&
        wait.scope === here &&
        !wait.followed &&
        !known.some((part) => "wait" in part && part.wait === wait),
    );
    if (suspects.length === 0) return;
    const error = new UntrackedBranchError(runId, group, [...new Set(suspects.map(({ signal }) => signal!))]);
    if (cause !== undefined) error.cause = cause;
    throw error;
  }

  /** One event says it of all slots. */
  #giveUp(parts: readonly Part[], why: string): void {
    const { life, runId } = this.#run;
    const reason = markCancelReason(new WorkflowCancelledError(runId, why));
    const scopes = parts.flatMap((part) => ("scope" in part && part.scope.mark(reason) ? [part.scope] : []));
    const slots = parts.flatMap((part) => ("slot" in part ? [part.slot] : []));
    this.#run.cancelSlots([...slots, ...scopes.flatMap((scope) => [...scope.slots])], reason);
    for (const part of parts) if ("wait" in part) life?.waits.withdraw(part.wait, reason);
    for (const scope of scopes) life?.waits.cancel(scope, reason);
    if (this.#run.fault || this.#run.closed) return;
    for (const slot of slots) {
      const state = this.#run.slots.get(slot)?.state;
      this.#run.holds(state !== "open" && state !== "waiting", "groups G1", "it was given up, and is open", slot);
    }
  }
}

/** It is called on promises that have a `then` of their own. */
const { then: nativeThen } = Promise.prototype;

/** Made by the engine of the language: the functions that `Promise.all` or an async function subscribes with. */
function isNative(fn: unknown): boolean {
  return Function.prototype.toString.call(fn).endsWith("{ [native code] }");
}

const NO_PARTS: readonly Part[] = [];

function partsOf(branches: readonly Branch[]): Part[] {
  const all: Part[] = [];
  for (const { parts } of branches) for (const part of parts) all.push(part);
  return all;
}

/** Which branch was the first, for those that have names. */
async function named({ name, value }: Branch): Promise<{ name: string | number; value: unknown }> {
  return { name, value: await value };
}

function onFailureOf(call: string, { onFailure = "cancel" }: GroupOptions): "cancel" | "await" {
  return oneOf(`onFailure of ${call}`, onFailure, ["cancel", "await"]);
}

/** The results in the shape of what was asked for: a list or a record. */
function reshape(shape: Given, results: unknown[]): unknown {
  if (Array.isArray(shape)) return results;
  return Object.fromEntries(Object.keys(shape).map((key, i) => [key, results[i]]));
}
