import {
  DeclaredError,
  InvalidInputError,
  InvalidOutputError,
  pathOf,
  type RunStep,
  StepCancelledError,
  TimeoutError,
} from "@stepstream/contracts";
import type { Delivery } from "@stepstream/event-log";
import type { AnyStep, HandlerInput, HandlerOutput } from "@stepstream/sdk";
import type { StepContext } from "./context.ts";
import type { Deps } from "./deps.ts";

/** What the users of Stepstream write. */
export type Handler<S extends AnyStep> = (input: HandlerInput<S>, context: StepContext<S>) => Promise<HandlerOutput<S>>;

/** An attempt that ended without its handler: it did not heed its signal. */
export class LeftBehind extends Error {}

/** One attempt that is running. */
export class Handling {
  readonly delivery: Delivery;
  readonly command: RunStep;
  readonly attempt: number;
  readonly controller = new AbortController();
  /** When the log last heard that this attempt is alive. */
  lastSignMs: number;
  heartbeatDetails: unknown;
  readonly #deps: Deps;
  readonly #step: AnyStep;
  readonly #onDetails: (details: unknown) => void;

  constructor(
    deps: Deps,
    step: AnyStep,
    delivery: Delivery,
    command: RunStep,
    attempt: number,
    heartbeatDetails: unknown,
    onDetails: (details: unknown) => void,
  ) {
    this.#deps = deps;
    this.#step = step;
    this.delivery = delivery;
    this.command = command;
    this.attempt = attempt;
    this.heartbeatDetails = heartbeatDetails;
    this.#onDetails = onDetails;
    this.lastSignMs = deps.clock.now();
  }

  alive(): void {
    this.delivery.working();
    this.lastSignMs = this.#deps.clock.now();
  }

  /**
   * Calls the handler, within its time.
   *
   * @returns What it returned, checked.
   * @throws What it threw; if its signal was aborted, the reason of that; InvalidInputError, InvalidOutputError.
   */
  async run(handler: Handler<AnyStep>): Promise<unknown> {
    const { clock, cancels } = this.#deps;
    const { command, controller } = this;
    const where = { run: command.run, step: command.step, slot: command.slot, attempt: this.attempt };
    const input = this.#step.input.safeParse(command.input);
    if (!input.success) {
      const issue = input.error.issues[0];
      throw new InvalidInputError(`step "${command.step}"`, pathOf(issue.path), issue.message, where);
    }

    const { attemptMs = Number.POSITIVE_INFINITY, totalMs } = command.timeout;
    const leftMs = totalMs === undefined ? Number.POSITIVE_INFINITY : command.scheduledAt + totalMs - clock.now();
    const kind = leftMs < attemptMs ? "total" : "attempt";
    const limitMs = Math.min(attemptMs, leftMs);
    const timer =
      limitMs < 2 ** 31
        ? clock.setTimeout(
            () => controller.abort(new TimeoutError(kind, kind === "total" ? totalMs! : attemptMs, where)),
            limitMs,
          )
        : undefined;
    const unwatch = cancels.watch(command.run, command.slot, controller);
    try {
      const output = await this.#untilLeft(handler(input.data, this.#context()));
      // A result counts even after a cancel or a time-out: the work is done.
      return this.#checked(output, where);
    } catch (error) {
      if (controller.signal.aborted && !(error instanceof DeclaredError)) throw controller.signal.reason;
      throw error;
    } finally {
      if (timer !== undefined) clock.clearTimeout(timer);
      unwatch();
    }
  }

  /** A handler that does not heed its signal is left behind some seconds after; what it does then is dropped. */
  #untilLeft<T>(work: Promise<T>): Promise<T> {
    const { clock, cleanUpMs, emit } = this.#deps;
    const { signal } = this.controller;
    return new Promise<T>((resolve, reject) => {
      let timer: unknown;
      const onAbort = () => {
        timer = clock.setTimeout(() => {
          const { run, slot, step } = this.command;
          emit({ type: "left-behind", run, slot, step, attempt: this.attempt });
          reject(new LeftBehind("The handler did not heed its signal."));
        }, cleanUpMs);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      const end = () => {
        signal.removeEventListener("abort", onAbort);
        if (timer !== undefined) clock.clearTimeout(timer);
      };
      work.then(
        (value) => {
          end();
          resolve(value);
        },
        (error) => {
          end();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  #checked(output: unknown, where: { run: string; step: string; slot: number; attempt: number }): unknown {
    const what = `step "${this.command.step}"`;
    const read = this.#step.output.safeParse(output);
    if (!read.success) {
      const issue = read.error.issues[0];
      throw new InvalidOutputError(what, pathOf(issue.path), issue.message, where);
    }
    try {
      JSON.stringify(output);
    } catch (error) {
      throw new InvalidOutputError(what, "", `it is no JSON (${(error as Error).message})`, where);
    }
    return output;
  }

  #context(): StepContext {
    const { command } = this;
    const { errors } = this.#step;
    return {
      run: command.run,
      workflow: command.workflow,
      step: command.step,
      slot: command.slot,
      attempt: this.attempt,
      idempotencyKey: command.idempotencyKey,
      signal: this.controller.signal,
      deadlineAt: command.timeout.totalMs === undefined ? undefined : command.scheduledAt + command.timeout.totalMs,
      heartbeatDetails: this.heartbeatDetails,
      heartbeat: (details) => {
        if (this.controller.signal.aborted) return;
        this.alive();
        if (details !== undefined) {
          this.heartbeatDetails = details;
          this.#onDetails(details);
        }
      },
      fail: (code, data, message) => {
        const schema = errors[code as string];
        if (!schema) throw new RangeError(`Step "${command.step}" declares no error "${String(code)}".`);
        throw new DeclaredError(code as string, schema.parse(data), message);
      },
    };
  }
}

/** Does an error speak against what the step calls? Cancellations and answers do not. */
export function speaksAgainst(error: unknown): boolean {
  return !(error instanceof DeclaredError || error instanceof InvalidInputError || error instanceof StepCancelledError);
}
