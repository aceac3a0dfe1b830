import { DeclaredError, fromWire, type Trace } from "@stepstream/contracts";
import type { AnyStep, StepErrors } from "@stepstream/sdk";
import { activeIds } from "@stepstream/telemetry";
import { checkDeclared } from "../attempt/payload.ts";
import { idsOf, type Job } from "./job.ts";
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
  /** When `signal` aborts at the latest, in epoch milliseconds by this machine's clock; undefined if never. */
  readonly deadlineAt: number | undefined;
  /**
   * "Still at it." To be called more often than the step's `heartbeat`, if it has one. `details` (anything that can be
   * sent) are kept, at most twice per heartbeat time-out, and handed to the next attempt, also after a crash.
   * @throws {InvalidOutputError} `details` cannot be sent.
   */
  heartbeat(details?: unknown): void;
  /** The last details of the attempts before this one; undefined if there were none. */
  readonly heartbeatDetails: unknown;
  /**
   * Ends the step with one of its declared errors. Final: never retried.
   * @throws {DeclaredError} Always. {@link InvalidOutputError} if `data` does not fit its schema.
   */
  fail<K extends keyof StepErrors<S> & string>(code: K, data: StepErrors<S>[K]): never;
  /** The worker's logger, with `run`, `step`, `slot` and `attempt` on every line; if traced, `trace_id` and the active span's `span_id`. */
  readonly log: Logger;
  /** The trace the run belongs to (W3C), as its command carries it. */
  readonly trace: Trace | undefined;
}

export function createContext(job: Job, running: Running): StepContext {
  return new Context(job, running);
}

/** Getters for what few handlers use, so that those which do not do not pay; functions that can be taken apart. */
class Context implements StepContext {
  readonly run: string;
  readonly workflow: string;
  readonly step: string;
  readonly slot: number;
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly deadlineAt: number | undefined;
  readonly heartbeatDetails: unknown;
  readonly trace: Trace | undefined;
  readonly heartbeat: (details?: unknown) => void;
  readonly fail: (code: string, data: unknown) => never;
  readonly #running: Running;
  readonly #job: Job;

  constructor(job: Job, running: Running) {
    const { served, command, at, where } = job;
    this.run = where.run;
    this.workflow = command.workflow;
    this.step = where.step;
    this.slot = where.slot;
    this.attempt = where.attempt;
    this.idempotencyKey = command.idempotencyKey;
    this.deadlineAt = running.deadlineForHandler;
    const details = fromWire(undefined, at.details);
    this.heartbeatDetails = details.ok ? details.value : at.details;
    this.trace = command.trace;
    this.heartbeat = (details) => running.heartbeat(details);
    this.fail = (code, data) => {
      checkDeclared(served.step, code, data, where);
      throw new DeclaredError(code, data);
    };
    this.#running = running;
    this.#job = job;
  }

  get signal(): AbortSignal {
    return this.#running.signal;
  }

  get log(): Logger {
    const job = this.#job;
    return withFields(job.deps.logger, () => ({ ...job.where, ...(activeIds() ?? idsOf(job)) }));
  }
}
