import { DeclaredError, type RunStep, type Trace, type Where } from "@stepstream/contracts";
import type { AnyStep, StepErrors } from "@stepstream/sdk";
import { checkDeclared } from "../attempt/payload.ts";
import { type Logger, withFields } from "./logger.ts";
import type { Running } from "./running.ts";

/** What a handler is given besides its input. */
export interface StepContext<S = AnyStep> {
  readonly run: string;
  readonly workflow: string;
  readonly step: string;
  /** The n-th piece of work its run asked for. */
  readonly slot: number;
  /** 1 for the first try. */
  readonly attempt: number;
  /** `<run>/<slot>`: the same for every attempt. Pass it on to whatever has side effects: a step may run twice. */
  readonly idempotencyKey: string;
  /** Aborts when a time-out is over, the run is cancelled or the worker shuts down; `signal.reason` says which. */
  readonly signal: AbortSignal;
  /** When `signal` aborts at the latest, in epoch milliseconds; undefined if never. */
  readonly deadlineAt: number | undefined;
  /**
   * "Still at it." To be called more often than the step's `heartbeat`, if it has one. `details` (any JSON) are
   * kept, at most twice per heartbeat time-out, and handed to the next attempt, also after a crash.
   */
  heartbeat(details?: unknown): void;
  /** The last details of the attempts before this one; undefined if there were none. */
  readonly heartbeatDetails: unknown;
  /**
   * Ends the step with one of its declared errors. Final: never retried.
   * @throws {DeclaredError} Always. {@link InvalidOutputError} if `data` does not fit its schema.
   */
  fail<K extends keyof StepErrors<S> & string>(code: K, data: StepErrors<S>[K]): never;
  /** The worker's logger, with run, step, slot and attempt on every line. */
  readonly log: Logger;
  /** The trace the run belongs to (W3C), as its command carries it. */
  readonly trace: Trace | undefined;
}

export function createContext(
  step: AnyStep,
  command: RunStep,
  running: Running,
  details: unknown,
  logger: Logger,
): StepContext {
  const where: Where = { run: command.run, step: command.step, slot: command.slot, attempt: running.attempt };
  let log: Logger | undefined;
  return {
    ...where,
    workflow: command.workflow,
    idempotencyKey: command.idempotencyKey,
    deadlineAt: Number.isFinite(running.deadline.at) ? running.deadline.at : undefined,
    heartbeatDetails: details,
    trace: command.trace,
    // Few handlers use these two; those that do not, do not pay.
    get signal() {
      return running.signal;
    },
    get log() {
      log ??= withFields(logger, where);
      return log;
    },
    heartbeat: (details) => running.heartbeat(details),
    fail: (code, data) => {
      checkDeclared(step, code, data, where);
      throw new DeclaredError(code, data);
    },
  };
}
