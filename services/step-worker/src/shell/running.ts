import { AsyncLocalStorage } from "node:async_hooks";
import {
  InvalidOutputError,
  InvariantError,
  messageOf,
  StepCancelledError,
  toWire,
  type Where,
} from "@stepstream/contracts";
import { ownUncaught } from "@stepstream/sdk/uncaught";
import { type Deadline, deadlineOf } from "../attempt/deadline.ts";
import { outOfTime } from "../attempt/verdict.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { Deps } from "./deps.ts";
import { idsOf, type Job } from "./job.ts";

/**
 * One attempt under way: the handler's promise, and all that can end it from outside.
 *
 * R1. It ends once: with what the handler returned or threw, or, left behind, a clean-up time after it was
 *     told to stop by a clock or by a worker that shuts down. What the handler does later is dropped.
 * R2. A cancellation waits for the handler: what it does must be over before compensations start. (The
 *     coordinator has a grace period, and the attempt's own time-out goes on.)
 * R3. The first reason to stop is the signal's; the outcome goes by all of them.
 *
 * R2 is asserted where an attempt is left behind ("running R2").
 *
 * Checked elsewhere:
 *   R1  ../../test/worker.test.ts: leaves a handler behind that ignores its signal, and drops what it does later
 *   R3  ../../test/worker.test.ts: stops for the first reason, and its outcome goes by all of them
 */
export type Ended = { how: "returned"; value: unknown } | { how: "threw"; error: unknown } | { how: "leftBehind" };

/** Which attempt the running code belongs to. */
export const attempts = new AsyncLocalStorage<Running>();

/** Lets exceptions that no promise chain holds fail the attempt that they belong to, and not the process. */
export function guardAttempts(): void {
  if (guarded) return;
  guarded = true;
  ownUncaught(() => {
    const running = attempts.getStore();
    return running && ((error) => running.onUncaught(error));
  });
}

let guarded = false;

export class Running {
  readonly where: Where;
  /** By the server's clock, as the deadline. */
  readonly startedAtMs: number;
  readonly deadline: Deadline;
  /** Its time was over before it ended. */
  timedOut: Error | undefined;
  /** Its run does not want it any more. */
  cancelled = false;
  /** Its worker shuts down. */
  draining = false;
  /** Another worker has the command, and has written down what its attempt came to. */
  superseded = false;
  /** The last heartbeat's details, as they travel; those of the attempt before until there are some. */
  details: unknown;
  readonly #deps: Deps;
  readonly #job: Job;
  readonly #heartbeatMs: number | undefined;
  readonly #records: AttemptLog;
  readonly #storeEveryMs: number;
  readonly #end: (ended: Ended) => void;
  /** By this process' clock. */
  readonly #deadlineAt: number;
  #controller: AbortController | undefined;
  #reason: Error | undefined;
  #over = false;
  #beatAt: number;
  #leaveAt = Number.POSITIVE_INFINITY;
  #dirty = false;
  #storing = false;
  #storedAt = 0;

  constructor(job: Job, end: (ended: Ended) => void) {
    const { deps, served, command, at, where, records } = job;
    this.#job = job;
    this.#deps = deps;
    this.#heartbeatMs = command.heartbeatMs;
    this.where = where;
    this.details = at.details;
    this.#records = records;
    this.#storeEveryMs = (command.heartbeatMs ?? served.ackWaitMs) / 2;
    this.#end = end;
    const now = deps.clock.now();
    this.#beatAt = now;
    this.startedAtMs = deps.log.serverNow();
    this.deadline = deadlineOf(command, this.startedAtMs);
    this.#deadlineAt = now + this.#leftMs;
  }

  get #leftMs(): number {
    return this.deadline.at - this.startedAtMs;
  }

  /** The deadline by the machine's own clock, which is what a handler can read; undefined if there is none. */
  get deadlineForHandler(): number | undefined {
    const { clock } = this.#deps;
    return Number.isFinite(this.deadline.at) ? (clock.wall?.() ?? clock.now()) + this.#leftMs : undefined;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Calls the handler. */
  start(handle: () => Promise<unknown>): void {
    attempts.run(this, handle).then(
      (value) => this.#finish({ how: "returned", value }),
      (error) => this.#finish({ how: "threw", error }),
    );
  }

  /** The handler threw where nothing catches it: the attempt has failed, whatever the handler still does. */
  onUncaught(error: unknown): void {
    const late = this.#over;
    this.#finish({ how: "threw", error });
    if (!late) this.#abort(new StepCancelledError(this.where, "its handler threw an exception that nothing caught"));
  }

  #finish(ended: Ended): void {
    if (!this.#over) {
      // A handler that computes is over before the timer of its time-out can say that it was too long.
      if (!this.timedOut && ended.how !== "leftBehind") this.#checkTime(this.#deps.clock.now() - 1);
      this.#over = true;
      this.#end(ended);
    } else if (ended.how === "threw") {
      const { error } = ended;
      this.#warn("a handler that was left behind has failed", { error: messageOf(error) });
    } else this.#warn("a handler that was left behind has ended; its result is dropped");
  }

  /** Called by a timer, where a throw would end the process: what does not hold fails the attempt. */
  #left(): Ended {
    if (this.timedOut || this.draining) return { how: "leftBehind" };
    const what = "its handler was to be left behind, and neither a clock nor a shutdown says so";
    return { how: "threw", error: new InvariantError("running R2", what, this.where) };
  }

  #warn(message: string, more?: object): void {
    this.#deps.logger.warn(message, { ...this.where, ...idsOf(this.#job), ...more });
  }

  // ---------------------------------------------------------------- reasons to stop

  cancel(reason: string): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.#abort(new StepCancelledError(this.where, reason));
  }

  /** The worker is told to stop. Should its process be killed before this attempt has ended, that is why. */
  noteStop(): void {
    if (!this.#over) void this.#record({ stopping: true });
  }

  /** The worker shuts down. @param leaveAt - When it is left behind, in epoch milliseconds. */
  drain(leaveAt: number): void {
    this.draining = true;
    this.#leaveAt = Math.min(this.#leaveAt, leaveAt);
    this.#abort(new StepCancelledError(this.where, "worker is shutting down"));
    this.#deps.pulse.sooner(this.dueAt());
  }

  #timeOut(error: Error, now: number): void {
    this.timedOut = error;
    this.#leaveAt = Math.min(this.#leaveAt, now + this.#deps.settings.cleanUpMs);
    this.#abort(error);
  }

  #abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }

  // ---------------------------------------------------------------- time

  dueAt(): number {
    if (this.#over) return Number.POSITIVE_INFINITY;
    const store = this.#dirty && !this.#storing ? this.#storedAt + this.#storeEveryMs : Number.POSITIVE_INFINITY;
    if (this.timedOut) return Math.min(this.#leaveAt, store);
    return Math.min(this.#deadlineAt, this.#silentAt(), this.#leaveAt, store);
  }

  onDue(now: number): void {
    if (this.#over) return;
    if (this.#dirty && now >= this.#storedAt + this.#storeEveryMs) this.#store(now);
    if (now >= this.#leaveAt) return this.#finish(this.#left());
    this.#checkTime(now);
  }

  #checkTime(now: number): void {
    if (this.timedOut) return;
    const { deadline } = this;
    if (now >= this.#deadlineAt) this.#timeOut(outOfTime(deadline.kind, deadline.ms, this.where), now);
    else if (now >= this.#silentAt()) this.#timeOut(outOfTime("heartbeat", this.#heartbeatMs!, this.where), now);
  }

  /** When it is over, if nothing is heard of it until then. */
  get endsAt(): number {
    return Math.min(this.#deadlineAt, this.#silentAt());
  }

  #silentAt(): number {
    return this.#heartbeatMs === undefined ? Number.POSITIVE_INFINITY : this.#beatAt + this.#heartbeatMs;
  }

  heartbeat(details: unknown): void {
    if (this.#over) return;
    const now = this.#deps.clock.now();
    this.#beatAt = now;
    // At once, and not by a timer: the handler may be computing.
    this.#job.held.attemptEndsAt = this.endsAt;
    if (details === undefined) return;
    const sent = toWire(undefined, details);
    if (!sent.ok)
      throw new InvalidOutputError(`heartbeat of step "${this.where.step}"`, sent.path, sent.message, this.where);
    // A copy: the handler may go on changing its own.
    this.details = JSON.parse(JSON.stringify(sent.value));
    this.#dirty = true;
    if (now >= this.#storedAt + this.#storeEveryMs) this.#store(now);
    else this.#deps.pulse.sooner(this.#storedAt + this.#storeEveryMs);
  }

  /** Details that come while others are being stored wait for their turn; only the last ones count. */
  #store(now: number): void {
    if (this.#storing) return;
    this.#dirty = false;
    this.#storing = true;
    this.#storedAt = now;
    this.#record().finally(() => {
      this.#storing = false;
      if (this.#dirty) this.#deps.pulse.sooner(this.dueAt());
    });
  }

  async #record(more: { stopping?: true } = {}): Promise<void> {
    const { slot, step, attempt } = this.where;
    const { details } = this;
    try {
      if (await this.#records.append({ v: 1, type: "AttemptHeartbeat", slot, step, attempt, details, ...more })) return;
    } catch (error) {
      return this.#deps.warn("keep a heartbeat", error, this.where.run);
    }
    this.superseded = true;
    this.#abort(new StepCancelledError(this.where, "another worker has taken it over"));
  }
}
