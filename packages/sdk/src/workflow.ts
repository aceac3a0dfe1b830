import {
  checkFunction,
  checkKeys,
  checkName,
  checkObject,
  checkSchema,
  checkWhole,
  type Duration,
  type ParentClosePolicy,
  type Progress,
  refuse,
} from "@stepstream/contracts";
import type { z } from "zod";
import "./guard.ts";
import type { Backoff } from "./backoff.ts";
import type { AnyStep, IfFits, Literally, StepDefinition, StepInput, StepOutput, WrongOutput } from "./step.ts";

type Schema = z.ZodType;

/** Signal name → schema of its payload. */
export type SignalSchemas = Record<string, Schema>;
/** Query name → schema of its answer, or of what is asked and what is answered. */
export type QuerySchemas = Record<string, Schema | { readonly input: Schema; readonly output: Schema }>;
/** Update name → schemas of what is asked and what is answered. */
export type UpdateSchemas = Record<string, { readonly input: Schema; readonly output: Schema }>;
/** What a definition says if it says nothing: no names at all. */
export type None = Record<never, never>;

/** A definition of runs: a name, a version, and an async function that is replayed from a run's history. */
export interface Workflow<
  I extends Schema = Schema,
  O extends Schema = Schema,
  S extends SignalSchemas = SignalSchemas,
  Q extends QuerySchemas = QuerySchemas,
  U extends UpdateSchemas = UpdateSchemas,
> {
  readonly kind: "workflow";
  readonly name: string;
  readonly version: number;
  readonly input: I;
  readonly output: O;
  readonly signals: S;
  readonly queries: Q;
  readonly updates: U;
  readonly run: (input: any, w: any) => Promise<unknown>;
  /** Present on a pipeline: its nodes, in order. */
  readonly graph?: readonly GraphNode[];
}
export type AnyWorkflow = Workflow<any, any, any, any, any>;
export type WorkflowInput<W> = W extends Workflow<infer I, any, any, any, any> ? z.input<I> : never;
export type WorkflowOutput<W> = W extends Workflow<any, infer O, any, any, any> ? z.output<O> : never;
export type WorkflowSignals<W> = W extends Workflow<any, any, infer S, any, any> ? S : never;
export type WorkflowQueries<W> = W extends Workflow<any, any, any, infer Q, any> ? Q : never;
export type WorkflowUpdates<W> = W extends Workflow<any, any, any, any, infer U> ? U : never;

/** The schema of a query's answer. */
export type QueryOutput<D> = D extends { readonly output: infer O extends Schema } ? O : D extends Schema ? D : never;
/** What a query is asked: nothing, where only its answer has a schema. */
export type QueryInput<D> = D extends { readonly input: infer I extends Schema; readonly output: Schema }
  ? I
  : z.ZodVoid;

/** A node of a pipeline's graph, for drawing and progress. */
export interface GraphNode {
  readonly name: string;
  readonly kind: "step" | "map" | "parallel" | "gate";
  readonly steps: readonly string[];
}

export interface RunOptions {
  /** Instead of the step's own. */
  retry?: StepDefinition<any, any, any>["retry"] | undefined;
  /** Instead of the step's own. */
  timeout?: StepDefinition<any, any, any>["timeout"] | undefined;
}

export interface GroupOptions {
  /**
   * What becomes of the others when one has failed. "cancel" (default): they are cancelled and the group fails
   * at once. "await": the group fails when all have ended.
   */
  onFailure?: "cancel" | "await";
}

export interface ChildOptions {
  /** The child's id, and its idempotency key. Default: made of the parent's id and the slot. */
  id?: string | undefined;
  /**
   * What becomes of it if the parent ends first: "cancel" (default) asks it to stop and waits for its clean-up,
   * "terminate" stops it without, "abandon" lets it go on.
   */
  onParentClose?: ParentClosePolicy | undefined;
  /** It starts so long after it was asked for. */
  delay?: Duration | undefined;
  /** It fails if it has not ended in this time. */
  timeout?: Duration | undefined;
  /**
   * Where it is traced. "same" (default): in the trace of its parent, below its run. "linked": in a trace of its own,
   * for children that are many or live long; the two are linked. May be changed while runs are live.
   */
  trace?: "same" | "linked" | undefined;
}

/** What several things at once are given as: a promise or a value, or a function that begins it in a scope of its own. */
export type Branch<T> = T extends (...args: any[]) => infer R ? Awaited<R> : Awaited<T>;
/** Named branches: which of them came first, and with what. Narrow by `name`. */
type Winner<T extends Branches> = {
  [K in keyof T & string]: { readonly name: K; readonly value: Branch<T[K]> };
}[keyof T & string];
/** Branches by name. */
export type Branches = Readonly<Record<string, unknown>>;

/** What a callback that must be synchronous may return: anything but a promise. */
type NotAPromise = undefined | null | boolean | number | string | bigint | symbol | { readonly then?: never };
/** `T`, unless it is a promise: then a sentence that says so, which no function fits. */
type Synchronous<T> = T extends PromiseLike<unknown> ? "This callback must not be async. Use a step instead." : T;

/** A piece of workflow code that can be cancelled by itself. */
export interface ScopedPromise<T> extends Promise<T> {
  /** Cancels what it waits for, and whatever it still asks for. */
  cancel(reason?: string): void;
}

interface UpdateOptions<D extends UpdateSchemas[string]> {
  /** Throws to refuse the update, before anything is changed. It is not async, and must not change anything. */
  validate?: (input: z.output<D["input"]>) => void | NotAPromise;
}

/** What a workflow may wait for. Whatever it resolves, it resolves in the order of the history. */
export interface WorkflowContext<
  S extends SignalSchemas = None,
  Q extends QuerySchemas = None,
  U extends UpdateSchemas = None,
> {
  readonly runId: string;
  /** Aborted when somebody cancels the run. */
  readonly cancelled: AbortSignal;
  /**
   * How long the history is that a replay has to go through: messages taken in and events decided since the start or
   * the last `continueAsNew`. `continueSuggested` from 20,000 on.
   */
  readonly history: { readonly length: number; readonly continueSuggested: boolean };

  /**
   * Runs a step on some worker and waits for its outcome.
   * @throws {StepError} It failed for good. `cause` is what the last attempt threw.
   * @throws {WorkflowCancelledError} The run was cancelled.
   * @throws {InvalidInputError} At once, if the input does not fit the step's schema.
   */
  run<S extends AnyStep>(step: S, input: StepInput<S>, options?: RunOptions): Promise<StepOutput<S>>;

  /**
   * All or nothing: the results, or the first failure. Takes a list or a record of promises, or of functions that begin
   * them: what a function has asked for is cancelled with it when another branch fails.
   */
  all<T extends readonly unknown[] | []>(
    branches: T,
    options?: GroupOptions,
  ): Promise<{ -readonly [K in keyof T]: Branch<T[K]> }>;
  all<T extends Branches>(branches: T, options?: GroupOptions): Promise<{ -readonly [K in keyof T]: Branch<T[K]> }>;
  /** Every outcome, as success or failure. Takes what `all` takes. */
  allSettled<T extends readonly unknown[] | []>(
    branches: T,
  ): Promise<{ -readonly [K in keyof T]: PromiseSettledResult<Branch<T[K]>> }>;
  allSettled<T extends Branches>(
    branches: T,
  ): Promise<{ -readonly [K in keyof T]: PromiseSettledResult<Branch<T[K]>> }>;
  /**
   * The first to end, well or badly; the others are cancelled.
   *
   * Takes branches by name, as functions: each begins in a scope of its own, and is cancelled as a whole when it loses.
   * Takes a list too: then only promises that `w` returned, and those made of them by `then`, `catch` and `finally`, can
   * be cancelled.
   * @returns With names: `{ name, value }` of the first. With a list: its value.
   * @throws {UntrackedBranchError} A branch that cannot be cancelled may hold a wait for a signal.
   * @example
   * const first = await w.race({ paid: () => w.waitFor("paid"), late: () => w.sleep("3d") });
   * if (first.name === "paid") return first.value.receipt;
   */
  race<T extends readonly unknown[] | []>(branches: T): Promise<Branch<T[number]>>;
  race<T extends Branches>(branches: T): Promise<Winner<T>>;
  /** The first to succeed; the others are cancelled. Takes what `race` takes. @throws {AggregateError} None succeeded. */
  any<T extends readonly unknown[] | []>(branches: T): Promise<Branch<T[number]>>;
  any<T extends Branches>(branches: T): Promise<Winner<T>>;
  /** Results in the order of the items, at most `concurrency` (default 10) at a time. */
  map<T, R>(
    items: readonly T[],
    fn: (item: T, index: number) => Promise<R>,
    options?: GroupOptions & { concurrency?: number },
  ): Promise<R[]>;

  /** A durable wait: holds over crashes and for months. Never early. */
  sleep(duration: Duration): Promise<void>;

  /**
   * Waits for a signal. Signals are kept until they are asked for, in their order; each is handed out once.
   *
   * @param options.where - Takes only a signal whose payload it holds for; others are kept for other waits. It must be
   * synchronous and change nothing. If it throws, this wait fails with that.
   * @param options.onTimeout - What comes of a time-out: "undefined" (default), or "throw", which tells it from a signal
   * whose payload is undefined.
   * @returns Its payload; undefined if none came within `timeout`. Without a time-out it waits as long as it takes.
   * @throws {TimeoutError} None came within `timeout`, with `onTimeout: "throw"`.
   */
  waitFor<K extends keyof S & string>(
    signal: K,
    options?: { timeout?: undefined; where?: (payload: z.output<S[K]>) => boolean },
  ): Promise<z.output<S[K]>>;
  waitFor<K extends keyof S & string>(
    signal: K,
    options: { timeout: Duration | undefined; onTimeout: "throw"; where?: (payload: z.output<S[K]>) => boolean },
  ): Promise<z.output<S[K]>>;
  waitFor<K extends keyof S & string>(
    signal: K,
    options: {
      timeout: Duration | undefined;
      onTimeout?: "undefined";
      where?: (payload: z.output<S[K]>) => boolean;
    },
  ): Promise<z.output<S[K]> | undefined>;
  /**
   * Waits until something about the workflow's own variables is so, e.g. after an update has changed them. It is asked
   * after every message of the history; it must not change anything.
   * @returns false if that was not so within `timeout`.
   */
  until(condition: () => boolean, options?: { timeout?: Duration }): Promise<boolean>;
  /** What a query is answered with: at once, without changing anything. Replaces an earlier handler. */
  onQuery<K extends keyof Q & string>(
    query: K,
    handler: NoInfer<(input: z.output<QueryInput<Q[K]>>) => z.input<QueryOutput<Q[K]>>>,
  ): void;
  /** For the compiler's message alone: no call fits it. */
  onQuery<K extends keyof Q & string, const R>(
    query: WrongOutput<R, z.input<QueryOutput<Q[K]>>, "handler", K>,
    handler: ((input: z.output<QueryInput<Q[K]>>) => R) &
      IfFits<R, z.input<QueryOutput<Q[K]>>, (input: z.output<QueryInput<Q[K]>>) => z.input<QueryOutput<Q[K]>>>,
  ): void;
  /**
   * What an update does. Updates that came before are kept until there is a handler.
   *
   * @param handler - May change the workflow's variables and wait for steps; what it returns is the answer, what it
   * throws is the sender's error.
   * @param options.validate - Throws to refuse the update, before anything is changed. It must be synchronous and not
   * change anything.
   */
  onUpdate<K extends keyof U & string>(
    update: K,
    handler: NoInfer<(input: z.output<U[K]["input"]>) => Literally<z.input<U[K]["output"]>>>,
    options?: UpdateOptions<U[K]>,
  ): void;
  onUpdate<K extends keyof U & string>(
    update: K,
    handler: NoInfer<(input: z.output<U[K]["input"]>) => z.input<U[K]["output"]> | Promise<z.input<U[K]["output"]>>>,
    options?: UpdateOptions<U[K]>,
  ): void;
  /** For the compiler's message alone: no call fits it. */
  onUpdate<K extends keyof U & string, const R>(
    update: WrongOutput<Awaited<R>, z.input<U[K]["output"]>, "handler", K>,
    handler: ((input: z.output<U[K]["input"]>) => R) &
      IfFits<
        Awaited<R>,
        z.input<U[K]["output"]>,
        (input: z.output<U[K]["input"]>) => z.input<U[K]["output"]> | Promise<z.input<U[K]["output"]>>
      >,
    options?: UpdateOptions<U[K]>,
  ): void;
  /**
   * Updates that were accepted and are not answered yet. When the workflow function ends, they are cancelled and their
   * senders get `UPDATE_REFUSED`; to let them finish: `await w.until(() => w.updatesInProgress === 0)`.
   */
  readonly updatesInProgress: number;

  /**
   * Runs another workflow as a run of its own, and waits for its end. Cancelling the parent cancels it.
   * @throws {ChildError} It failed, was cancelled or terminated, or its id belongs to another run. `cause` says which.
   * @throws {InvalidInputError} At once, if the input does not fit.
   */
  child<W extends AnyWorkflow>(
    workflow: W,
    input: WorkflowInput<W>,
    options?: ChildOptions,
  ): Promise<WorkflowOutput<W>>;

  /**
   * Runs a piece of the workflow that can be cancelled by itself, or by its own time-out.
   * @throws {WorkflowCancelledError} What it waited for, after `cancel()`.
   * @throws {TimeoutError} It took longer than `timeout`; what it had open is cancelled.
   */
  scope<T>(fn: () => Promise<T>, options?: { timeout?: Duration }): ScopedPromise<T>;
  /** Clean-up that a cancel does not reach: what `fn` asks for goes on, and the run ends only after it. */
  uncancellable<T>(fn: () => Promise<T>): Promise<T>;

  /**
   * Starts the run anew under its id: with this input, a history that begins here, and the signals nobody has asked for.
   * What is still open is cancelled first. Never resolves: `return w.continueAsNew(…)`.
   * @throws {Error} Compensations are registered; they would be lost.
   */
  continueAsNew(input: unknown): Promise<never>;
  /**
   * Changes a workflow that has live runs: true for runs that come here for the first time with this code, false for
   * those that were here before it. The answer is in the history.
   * @param id - 1 to 256 characters on one line.
   */
  patched(id: string): boolean;
  /**
   * Calls `fn` once and records what it returns or throws; every replay gets that. For what is no step's
   * business. `fn` must be synchronous.
   */
  sideEffect<T>(fn: (() => T) & (() => Synchronous<T>)): T;
  /** The time of the message that is being handled, in epoch ms: the same in every replay; never goes back. */
  now(): number;
  /** In [0, 1), the same in every replay. */
  random(): number;
  /** A version 4 UUID, the same in every replay. */
  uuid(): string;

  /**
   * Check, and while that fails and tries are left: wait, fix, check again.
   *
   * @param check - Passes if it resolves to anything but false; fails if it throws or resolves to false.
   * @param fix - Gets what `check` threw (undefined if it resolved to false) and the number of checks so far.
   * @returns What the passing check resolved to.
   * @throws What the last check threw.
   */
  repeatUntil<T>(
    check: (attempt: number) => Promise<T>,
    fix: (failure: unknown, attempt: number) => Promise<unknown>,
    options: { maxAttempts: number; backoff?: Backoff },
  ): Promise<Exclude<T, false>>;

  /** Registers a step that undoes something; run last first after the run has settled, if it fails or is cancelled. */
  compensate<S extends AnyStep>(step: S, input: StepInput<S>): void;

  /** Reports how far the run is. `percent` is step / total; `name` has 1 to 256 characters on one line. */
  progress(progress: Omit<Progress, "percent">): void;
}

export interface WorkflowDefinition<
  I extends Schema,
  O extends Schema,
  S extends SignalSchemas,
  Q extends QuerySchemas,
  U extends UpdateSchemas,
> {
  input: I;
  output: O;
  /** Runs are pinned to the version they were started with. Default 1. */
  version?: number;
  /** What runs may be told: `w.waitFor`, `run.signal`. */
  signals?: S;
  /** What runs may be asked: `w.onQuery`, `run.query`. */
  queries?: Q;
  /** How runs may be changed: `w.onUpdate`, `run.update`. */
  updates?: U;
}

/**
 * Defines a workflow: a plain async function that asks `w` for everything that takes time or chance.
 *
 * @param name - A-Z a-z 0-9 _ -, not beginning with _.
 * @throws {RangeError} A name, schema or version that makes no sense.
 */
export function workflow<
  I extends Schema,
  O extends Schema,
  S extends SignalSchemas = None,
  Q extends QuerySchemas = None,
  U extends UpdateSchemas = None,
>(
  name: string,
  definition: WorkflowDefinition<I, O, S, Q, U>,
  run: NoInfer<(input: z.output<I>, w: WorkflowContext<S, Q, U>) => Promise<z.input<O>>>,
): Workflow<I, O, S, Q, U>;
/** For the compiler's message alone: no call fits it. */
export function workflow<
  I extends Schema,
  O extends Schema,
  S extends SignalSchemas = None,
  Q extends QuerySchemas = None,
  U extends UpdateSchemas = None,
  const R = unknown,
>(
  name: WrongOutput<Awaited<R>, z.input<O>, "workflow">,
  definition: WorkflowDefinition<I, O, S, Q, U>,
  run: ((input: z.output<I>, w: WorkflowContext<S, Q, U>) => R) &
    IfFits<Awaited<R>, z.input<O>, (input: z.output<I>, w: WorkflowContext<S, Q, U>) => Promise<z.input<O>>>,
): Workflow<I, O, S, Q, U>;
export function workflow(
  name: string,
  definition: WorkflowDefinition<Schema, Schema, any, any, any>,
  run: Workflow["run"],
): AnyWorkflow {
  if (typeof name === "string" && name.startsWith("_"))
    refuse("name of a workflow", name, "a name that does not begin with _: those are Stepstream's own");
  return defineWorkflow(name, definition, run);
}

/** The same, for workflows that Stepstream brings along. */
export function defineWorkflow<
  I extends Schema,
  O extends Schema,
  S extends SignalSchemas = None,
  Q extends QuerySchemas = None,
  U extends UpdateSchemas = None,
>(
  name: string,
  definition: WorkflowDefinition<I, O, S, Q, U>,
  run: NoInfer<(input: z.output<I>, w: WorkflowContext<S, Q, U>) => Promise<z.input<O>>>,
): Workflow<I, O, S, Q, U> {
  checkName("name of a workflow", name);
  const of = `of workflow "${name}"`;
  checkObject(`definition ${of}`, definition);
  checkKeys(of, definition, ["input", "output", "version", "signals", "queries", "updates"]);
  const { input, output, version = 1, signals, queries, updates } = definition;
  checkSchema(`input ${of}`, input);
  checkSchema(`output ${of}`, output);
  checkWhole(`version ${of}`, version);
  checkDeclared("signal", of, signals, checkSchema);
  checkDeclared("query", of, queries, (what, query) => {
    if (isPair(query)) checkPair(what, query);
    else checkSchema(what, query);
  });
  checkDeclared("update", of, updates, checkPair);
  checkFunction(`function ${of}`, run);
  return Object.freeze({
    kind: "workflow",
    name,
    version,
    input,
    output,
    signals: signals ?? ({} as S),
    queries: queries ?? ({} as Q),
    updates: updates ?? ({} as U),
    run,
  });
}

function checkDeclared(
  kind: "signal" | "query" | "update",
  of: string,
  declared: unknown,
  check: (what: string, schema: unknown) => void,
): void {
  if (declared === undefined) return;
  checkObject(`${kind} definitions ${of}`, declared);
  for (const [name, schema] of Object.entries(declared as object)) {
    checkName(`name of a ${kind} ${of}`, name);
    check(`${kind} "${name}" ${of}`, schema);
  }
}

/** Two schemas, not one: of what is asked and what is answered. */
function isPair(declared: unknown): declared is { input: unknown; output: unknown } {
  return typeof declared === "object" && declared !== null && !("_zod" in declared) && "output" in declared;
}

function checkPair(what: string, declared: unknown): void {
  if (!isPair(declared)) refuse(what, declared, "{ input: schema, output: schema }");
  checkSchema(`input of ${what}`, declared.input);
  checkSchema(`output of ${what}`, declared.output);
}
