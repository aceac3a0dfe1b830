import {
  AttemptRecord,
  CircuitOpenError,
  decode,
  fromFailure,
  InboxMessage,
  InvalidInputError,
  MalformedMessageError,
  RunStep,
  StepCancelledError,
  type StepstreamError,
  TimeoutError,
  toFailure,
  WorkerLostError,
} from "@stepstream/contracts";
import type { Consumption, Delivery } from "@stepstream/event-log";
import type { AnyStep } from "@stepstream/sdk";
import { standing } from "../attempt/standing.ts";
import { judge } from "../attempt/verdict.ts";
import type { Breaker } from "./breaker.ts";
import type { Deps } from "./deps.ts";
import { type Handler, Handling, LeftBehind, speaksAgainst } from "./handling.ts";
import { bury, recordAttempt, tellRun } from "./report.ts";

/** `ack_wait` of steps without a heartbeat of their own. */
const ALIVE_MS = 10_000;
/** Longer waits than this leave the command queue and become a timer of the run. */
const NAK_MAX_MS = 60_000;

/** What is known of a slot when an attempt at it begins. */
interface Start {
  attempt: number;
  heartbeatDetails: unknown;
  /** The last sequence of the slot's `attempts` subject: the fence for the next record. */
  recordSeq: number;
}

/**
 * One step's queue in one worker: takes commands, runs attempts, reports what came of them.
 *
 * Q1. No more commands in hand than free places; none while the breaker is open.
 * Q2. What became of a slot is stored before its command is acknowledged.
 * Q3. A failed attempt is on record before its command goes back for the next. Who loses that race says no
 *     more: neither ack nor nak.
 * Q4. A command that has been delivered before, or may have been, is looked up first.
 */
export class StepQueue {
  readonly step: AnyStep;
  readonly #deps: Deps;
  readonly #handler: Handler<AnyStep>;
  readonly #breaker: Breaker | undefined;
  readonly #ackWaitMs: number;
  readonly #running = new Set<Handling>();
  #inHand = 0;
  #consumption: Consumption | undefined;
  #timer: unknown;
  #idle: (() => void)[] = [];
  #handingBack = false;

  constructor(deps: Deps, step: AnyStep, handler: Handler<AnyStep>, breaker: Breaker | undefined) {
    this.#deps = deps;
    this.step = step;
    this.#handler = handler;
    this.#breaker = breaker;
    this.#ackWaitMs = step.heartbeatMs ?? ALIVE_MS;
  }

  async start(): Promise<void> {
    const { log } = this.#deps;
    const { name } = this.step;
    this.#consumption = await log.consume({
      stream: "COMMANDS",
      consumer: log.subjects.stepConsumer(name),
      filter: log.subjects.all.commandsOfStep(name),
      ackWaitMs: this.#ackWaitMs,
      demand: () =>
        Math.max(0, Math.min(this.step.concurrency - this.#inHand, this.#breaker?.room ?? this.step.concurrency)),
      onDelivery: (delivery) => void this.#take(delivery),
    });
    this.#keepAlive();
  }

  /** Asks for commands again, e.g. after the breaker has closed. */
  pull(): void {
    this.#consumption?.pull();
  }

  /** Takes no more. Resolves when nothing is in hand. */
  async drain(): Promise<void> {
    await this.#consumption?.stop();
    if (this.#inHand > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#deps.clock.clearTimeout(this.#timer);
  }

  /** Aborts what still runs; its commands go back to the queue, and no attempt is used up. */
  handBack(): void {
    this.#handingBack = true;
    for (const { controller, command } of this.#running)
      controller.abort(new StepCancelledError({ run: command.run, slot: command.slot }, "the worker is shutting down"));
  }

  // ---------------------------------------------------------------- taking a command

  async #take(delivery: Delivery): Promise<void> {
    this.#inHand++;
    try {
      await this.#handle(delivery);
    } catch (error) {
      this.#deps.emit({ type: "trouble", what: `run a command of step "${this.step.name}"`, error });
    }
    this.#inHand--;
    if (this.#inHand === 0) for (const resolve of this.#idle.splice(0)) resolve();
    this.pull();
  }

  async #handle(delivery: Delivery): Promise<void> {
    const { clock, cancels, stalls } = this.#deps;
    let command: RunStep;
    try {
      command = decode(RunStep, delivery.text, `${delivery.subject} (sequence ${delivery.seq})`);
    } catch (error) {
      return this.#refuse(delivery, error as StepstreamError);
    }
    const { run, slot, timeout, scheduledAt } = command;
    let start: Start = { attempt: command.attempt, heartbeatDetails: undefined, recordSeq: 0 };
    const seenBefore = delivery.deliveries > 1 || command.attempt > 1;
    if (seenBefore || stalls.recently(this.#ackWaitMs / 2)) {
      const looked = await this.#look(delivery, command);
      if (!looked) return;
      start = looked;
    }
    const { attempt } = start;
    const where = { run, step: command.step, slot, attempt };
    if (cancels.reasonOf(run, slot) !== undefined) return this.#cancelled(delivery, command, attempt);
    const age = clock.now() - scheduledAt;
    if (timeout.totalMs !== undefined && age >= timeout.totalMs)
      return this.#failed(delivery, command, attempt, new TimeoutError("total", timeout.totalMs, where));
    if (!seenBefore && timeout.queueMs !== undefined && age >= timeout.queueMs)
      return this.#failed(delivery, command, attempt, new TimeoutError("queue", timeout.queueMs, where));
    return this.#attempt(delivery, command, start);
  }

  /** Where the slot stands. @returns undefined if no attempt is to be made now: all has been said. */
  async #look(delivery: Delivery, command: RunStep): Promise<Start | undefined> {
    const { log } = this.#deps;
    const { run, slot } = command;
    const [inbox, last] = await Promise.all([
      log.read(log.subjects.inbox(run), { fromSeq: command.after + 1, fresh: true }),
      log.last(log.subjects.attempts(run, slot), { fresh: true }),
    ]);
    const messages = inbox.flatMap(({ text }) => {
      const read = InboxMessage.safeParse(JSON.parse(text));
      return read.success ? [read.data] : [];
    });
    const record = last && decode(AttemptRecord, last.text, last.subject);
    const stands = standing(command, messages, record, delivery.deliveries);
    const where = { run, step: command.step, slot, attempt: command.attempt };
    switch (stands.kind) {
      case "answered":
        delivery.ack();
        return undefined;
      case "failed":
        await this.#failed(delivery, command, stands.record.attempt, fromFailure(stands.record.error));
        return undefined;
      case "lost": {
        const error = new WorkerLostError(where, delivery.deliveries - 1);
        if (await bury(this.#deps, delivery, error)) await this.#failed(delivery, command, command.attempt, error);
        return undefined;
      }
      case "run":
        return { attempt: stands.attempt, heartbeatDetails: stands.heartbeatDetails, recordSeq: last?.seq ?? 0 };
    }
  }

  // ---------------------------------------------------------------- an attempt

  async #attempt(delivery: Delivery, command: RunStep, start: Start): Promise<void> {
    const { emit, telemetry } = this.#deps;
    const { attempt } = start;
    const { run, slot, step } = command;
    let { recordSeq } = start;
    let storing: Promise<void> | undefined;
    let storedAtMs = 0;
    const store = (details: unknown) => {
      const now = this.#deps.clock.now();
      if (storing || now - storedAtMs < this.#ackWaitMs / 2) return;
      storedAtMs = now;
      const record: AttemptRecord = { v: 1, type: "AttemptHeartbeat", slot, step, attempt, details };
      storing = recordAttempt(this.#deps, command, record, recordSeq)
        .then((seq) => {
          recordSeq = seq ?? recordSeq;
        })
        .catch((error) => emit({ type: "trouble", what: `store a heartbeat of run ${run}`, error }))
        .finally(() => {
          storing = undefined;
        });
    };
    const handling = new Handling(this.#deps, this.step, delivery, command, attempt, start.heartbeatDetails, store);
    this.#running.add(handling);
    emit({ type: "attempt", run, slot, step, attempt });
    try {
      const work = () => telemetry.attempt(command, attempt, delivery.deliveries, () => handling.run(this.#handler));
      const passed = this.#breaker ? await this.#breaker.fire(work, speaksAgainst) : { value: await work() };
      if (!passed)
        return this.#giveBack(
          delivery,
          command,
          this.#breaker!.cooldownMs,
          new CircuitOpenError(this.#breaker!.name, step).message,
        );
      this.#running.delete(handling);
      await this.#completed(delivery, command, attempt, passed.value);
    } catch (thrown) {
      this.#running.delete(handling);
      await storing;
      const error = thrown instanceof LeftBehind ? (handling.controller.signal.reason as Error) : (thrown as Error);
      await this.#missed(handling, error, recordSeq);
    } finally {
      this.#running.delete(handling);
    }
  }

  async #completed(delivery: Delivery, command: RunStep, attempt: number, output: unknown): Promise<void> {
    const { run, slot, step } = command;
    const told = await tellRun(
      this.#deps,
      run,
      { v: 1, type: "StepCompleted", slot, step, attempt, output },
      `${slot}.${attempt}.done`,
    );
    if (!told) return;
    delivery.ack();
    this.#deps.emit({ type: "completed", run, slot, step, attempt });
  }

  /** The attempt ended badly. */
  async #missed(handling: Handling, error: Error, recordSeq: number): Promise<void> {
    const { clock, emit } = this.#deps;
    const { delivery, command, attempt } = handling;
    const { run, slot, step } = command;
    if (this.#handingBack && handling.controller.signal.aborted && error instanceof StepCancelledError)
      return this.#giveBack(delivery, command, 0, "the worker is shutting down");
    if (error instanceof InvalidInputError && !(await bury(this.#deps, delivery, error))) return;
    const verdict = judge(error, attempt, command, this.step.retryIf, clock.now(), clock.random());
    if (verdict.kind === "cancelled") return this.#cancelled(delivery, command, attempt);
    if (verdict.kind === "final") return this.#failed(delivery, command, attempt, verdict.error);

    const { delayMs } = verdict;
    const details = handling.heartbeatDetails;
    const record: AttemptRecord = {
      v: 1,
      type: "AttemptFailed",
      slot,
      step,
      attempt,
      error: toFailure(error),
      delayMs,
      ...(details === undefined ? {} : { details }),
    };
    const seq = await recordAttempt(this.#deps, command, record, recordSeq);
    if (seq === undefined) return;
    emit({ type: "retrying", run, slot, step, attempt, delayMs, error });
    if (delayMs > NAK_MAX_MS) {
      const later: InboxMessage = { v: 1, type: "RetryLater", slot, step, attempt: attempt + 1, delayMs };
      if (await tellRun(this.#deps, run, later, `${slot}.${attempt}.later`)) delivery.ack();
    } else if (clock.now() - handling.lastSignMs < this.#ackWaitMs) delivery.nak(delayMs);
    // Else it has gone to another worker already; a late nak would bring it back at once.
  }

  async #failed(delivery: Delivery, command: RunStep, attempt: number, error: Error): Promise<void> {
    const { run, slot, step } = command;
    const message: InboxMessage = { v: 1, type: "StepFailed", slot, step, attempt, error: toFailure(error) };
    if (!(await tellRun(this.#deps, run, message, `${slot}.${attempt}.failed`))) return;
    delivery.ack();
    this.#deps.emit({ type: "failed", run, slot, step, attempt, error });
  }

  async #cancelled(delivery: Delivery, command: RunStep, attempt: number): Promise<void> {
    const { run, slot, step } = command;
    if (
      !(await tellRun(
        this.#deps,
        run,
        { v: 1, type: "StepCancelled", slot, step, attempt },
        `${slot}.${attempt}.cancelled`,
      ))
    )
      return;
    delivery.ack();
    this.#deps.emit({ type: "cancelled", run, slot, step, attempt });
  }

  #giveBack(delivery: Delivery, command: RunStep, delayMs: number, why: string): void {
    delivery.nak(delayMs);
    const { run, slot, step } = command;
    this.#deps.emit({ type: "handed-back", run, slot, step, why });
  }

  /** A command that cannot be read: kept for people, and its run is told, so that it does not wait for ever. */
  async #refuse(delivery: Delivery, error: StepstreamError): Promise<void> {
    if (!(error instanceof MalformedMessageError)) throw error;
    const { run, slot, step } = this.#deps.log.subjects.parse(delivery.subject)!;
    if (!(await bury(this.#deps, delivery, error))) return;
    const message: InboxMessage = {
      v: 1,
      type: "StepFailed",
      slot: slot!,
      step: step!,
      attempt: 1,
      error: toFailure(error),
    };
    if (await tellRun(this.#deps, run, message, `${slot}.malformed`)) delivery.ack();
  }

  // ---------------------------------------------------------------- signs of life

  /** Says for attempts without a heartbeat of their own that they are alive; aborts those that have gone silent. */
  #keepAlive(): void {
    const { clock } = this.#deps;
    const now = clock.now();
    for (const handling of this.#running) {
      const silence = now - handling.lastSignMs;
      if (this.step.heartbeatMs === undefined || handling.controller.signal.aborted) {
        if (silence >= this.#ackWaitMs / 3) handling.alive();
      } else if (silence >= this.#ackWaitMs * 0.9) {
        const { run, slot, step } = handling.command;
        const where = { run, slot, step, attempt: handling.attempt };
        handling.controller.abort(new TimeoutError("heartbeat", this.#ackWaitMs, where));
        handling.alive();
      }
    }
    this.#timer = clock.setTimeout(() => this.#keepAlive(), Math.min(1_000, this.#ackWaitMs / 10));
  }
}
