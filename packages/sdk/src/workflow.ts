import { type Duration, Name, type Progress } from "@stepstream/contracts";
import type { z } from "zod";
import type { Backoff } from "./backoff.ts";
import type { AnyStep, StepDefinition, StepInput, StepOutput } from "./step.ts";

type Schema = z.ZodType;

/** A definition of runs: a name, a version, and an async function that is replayed from a run's history. */
export interface Workflow<I extends Schema = Schema, O extends Schema = Schema> {
  readonly kind: "workflow";
  readonly name: string;
  readonly version: number;
  readonly input: I;
  readonly output: O;
  readonly run: (input: any, w: WorkflowContext) => Promise<unknown>;
  /** Present on a pipeline: its nodes, in order. */
  readonly graph?: readonly GraphNode[];
}
export type AnyWorkflow = Workflow<any, any>;
export type WorkflowInput<W> = W extends Workflow<infer I, any> ? z.input<I> : never;
export type WorkflowOutput<W> = W extends Workflow<any, infer O> ? z.output<O> : never;

/** A node of a pipeline's graph, for drawing and progress. */
export interface GraphNode {
  readonly name: string;
  readonly kind: "step" | "map" | "parallel" | "gate";
  readonly steps: readonly string[];
}

export interface RunOptions {
  /** Instead of the step's own. */
  retry?: StepDefinition<any, any, any>["retry"];
  /** Instead of the step's own. */
  timeout?: StepDefinition<any, any, any>["timeout"];
}

export interface GroupOptions {
  /**
   * What becomes of the others when one has failed. "cancel" (default): they are cancelled and the group fails
   * at once. "await": the group fails when all have ended.
   */
  onFailure?: "cancel" | "await";
}

/** What a workflow may wait for. Whatever it resolves, it resolves in the order of the history. */
export interface WorkflowContext {
  readonly runId: string;
  /** Aborted when somebody cancels the run. */
  readonly cancelled: AbortSignal;

  /**
   * Runs a step on some worker and waits for its outcome.
   * @throws {StepError} It failed for good. `cause` is what the last attempt threw.
   * @throws {WorkflowCancelledError} The run was cancelled.
   * @throws {InvalidInputError} At once, if the input does not fit the step's schema.
   */
  run<S extends AnyStep>(step: S, input: StepInput<S>, options?: RunOptions): Promise<StepOutput<S>>;

  /** All or nothing: the results, or the first failure. Takes a list or a record of promises. */
  all<T extends readonly unknown[] | []>(
    promises: T,
    options?: GroupOptions,
  ): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
  all<T extends Record<string, unknown>>(
    promises: T,
    options?: GroupOptions,
  ): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
  /** Every outcome, as success or failure. */
  allSettled<T extends readonly unknown[] | []>(
    promises: T,
  ): Promise<{ -readonly [K in keyof T]: PromiseSettledResult<Awaited<T[K]>> }>;
  allSettled<T extends Record<string, unknown>>(
    promises: T,
  ): Promise<{ -readonly [K in keyof T]: PromiseSettledResult<Awaited<T[K]>> }>;
  /** The first to end, well or badly; the others are cancelled. */
  race<T extends readonly unknown[] | []>(promises: T): Promise<Awaited<T[number]>>;
  /** The first to succeed; the others are cancelled. @throws {AggregateError} None succeeded. */
  any<T extends readonly unknown[] | []>(promises: T): Promise<Awaited<T[number]>>;
  /** Results in the order of the items, at most `concurrency` (default 10) at a time. */
  map<T, R>(
    items: readonly T[],
    fn: (item: T, index: number) => Promise<R>,
    options?: GroupOptions & { concurrency?: number },
  ): Promise<R[]>;

  /** A durable wait: holds over crashes and for months. Never early. */
  sleep(duration: Duration): Promise<void>;
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

  /** Says how far the run is. `percent` is step / total. */
  progress(progress: Omit<Progress, "percent">): void;
}

export interface WorkflowDefinition<I extends Schema, O extends Schema> {
  input: I;
  output: O;
  /** Runs are pinned to the version they were started with. Default 1. */
  version?: number;
}

/**
 * Defines a workflow: a plain async function that asks `w` for everything that takes time or chance.
 *
 * @throws {RangeError} A name or version that makes no sense.
 */
export function workflow<I extends Schema, O extends Schema>(
  name: string,
  definition: WorkflowDefinition<I, O>,
  run: (input: z.output<I>, w: WorkflowContext) => Promise<z.input<O>>,
): Workflow<I, O> {
  const { version = 1 } = definition;
  if (!Name.safeParse(name).success)
    throw new RangeError(`A workflow's name is 1 to 64 of A-Z a-z 0-9 _ -, not "${name}".`);
  if (!Number.isInteger(version) || version < 1)
    throw new RangeError(`A version is a whole number from 1, not ${version}.`);
  return Object.freeze({ kind: "workflow", name, version, input: definition.input, output: definition.output, run });
}
