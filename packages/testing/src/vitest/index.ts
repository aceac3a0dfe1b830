/**
 * Matchers for runs. Import it once in a test file, or in vitest's `setupFiles`:
 *
 *   import "@stepstream/testing/vitest";
 *   await expect(run).toHaveCompleted({ parcel: "p-1" });
 */
import type { Duration } from "@stepstream/contracts";
import type { AnyStep, StepInput } from "@stepstream/sdk";
import { expect } from "vitest";
import { matchers } from "./matchers.ts";

expect.extend(matchers);

/** Whatever fits where a `T` is expected: a part of it may be left to an asymmetric matcher. */
type Like<T> = T extends object ? { [K in keyof T]: Like<T[K]> } : T;

export interface RunMatchers {
  /** Waits for the run's end. It returned this, if an output is given. */
  toHaveCompleted(output?: unknown): Promise<void>;
  /** Waits for the run's end. The error or what caused it names this step, has this code, if they are given. */
  toHaveFailed(how?: { step?: AnyStep | string; code?: string }): Promise<void>;
  /** Waits for the run's end. */
  toHaveBeenCancelled(reason?: unknown): Promise<void>;
  /** So far the run has asked for the step: so often (default: at least once), with this input (default: any). */
  toHaveRun<S extends AnyStep>(step: S | string, work?: { times?: number; with?: Like<StepInput<S>> }): Promise<void>;
  /** So far the step was run to its end as a compensation: so often, with this input. */
  toHaveCompensated<S extends AnyStep>(
    step: S | string,
    work?: { times?: number; with?: Like<StepInput<S>> },
  ): Promise<void>;
  /** So far the run has had a durable wait of exactly this length, to its end. */
  toHaveWaited(duration: Duration): Promise<void>;
}

declare module "vitest" {
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> extends RunMatchers {}
}
