import {
  type ChildEnded,
  ChildError,
  decodeValue,
  deepFreeze,
  encodePayload,
  ForbiddenInQueryError,
  fromFailure,
  fromWire,
  type InboxMessage,
  InvalidInputError,
  InvalidOutputError,
  InvariantError,
  invariant,
  isTerminal,
  MAX_SLOT,
  MAX_TIME_MS,
  MessageTooLargeError,
  QueryFailedError,
  type RunContinued,
  type RunEvent,
  type RunStarted,
  StalledError,
  StepError,
  type StepstreamError,
  TimeoutError,
  tamed,
  thorough,
  toWire,
  UnhandledRejectionError,
  ValidationError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow, RunOptions } from "@stepstream/sdk";
import { keepGuarded } from "@stepstream/sdk/guard";
import { seededRandom, uuidOf } from "./chance.ts";
import { isForEarlierRun } from "./earlier-run.ts";
import { deferred, type Frame, frames } from "./frame.ts";

import { Groups } from "./groups.ts";
import { type CancelRequest, Life } from "./life.ts";
import type { Observer } from "./observer.ts";
import { positions } from "./positions.ts";
import { type Decided, type Fault, type Payload, Recorder } from "./recorder.ts";
import { markCancelReason } from "./rejections.ts";
import type { Scope } from "./scope.ts";
import type { ChildSlot, Slot, StepSlot, TimerPurpose } from "./slot.ts";
import type { Wait } from "./waits.ts";
import { enter, leave, onBehalfOf, queryKey, stoppedQueries, turnBegan, turnEnded, type Whose } from "./whose.ts";

export type { Decided, Fault } from "./recorder.ts";

/** So often may a run go on as new without having waited for anything. */
const MAX_CONTINUED = 100;
/**
 * So much may a run ask for in one turn. Ten times what a run of a sane size does: 20,000 messages and events are the
 * length at which a workflow is told to go on as new.
 */
const MAX_PER_TURN = 200_000;
/** So often may it be answered at once in one turn. Each may cost an error with a stack. */
const MAX_ANSWERED_AT_ONCE = 120_000;
/** Each macrotask of a turn follows from something that was decided, asked for or kept. */
const MAX_ROUNDS = 2 * (MAX_PER_TURN + MAX_ANSWERED_AT_ONCE);

/**
 * One run of a workflow, alive in memory: what its inbox makes it decide.
 *
 *   fold(message)   a turn begins: what the message resolves, goes on in microtasks
 *   advance()       after the next macrotask: does anything follow? Then there is another macrotask to wait for
 *   endTurn()       what was decided
 *
 * Pure: time comes from the messages, chance from the run's id. The same messages in the same order give
 * the same decisions on any machine, in any year.
 *
 * R1. A slot has one outcome.
 * R2. A closed run takes no more events.
 * R3. A message seen twice decides nothing the second time.
 * R4. One message resolves in one turn; promises resolve in the order of the stream.
 * R5. What was decided before is decided again, or the run has a `fault` and decides nothing more.
 * R6. A turn ends: code that asks without end gets no more answers, and the run has a `fault`.
 *
 * They are asserted where they could break ("run R1" …); a violation is the run's `fault`. R3 can only be seen from
 * outside, by deliveries that are repeated: the simulation repeats them, too.
 *
 * Checked elsewhere:
 *   R3  execution.test.ts: is the same when every message comes twice (R3)
 *   R5  "recorder R5"
 */
export class RunExecution {
  readonly runId: string;
  readonly workflow: AnyWorkflow;
  /** The slots of this life, by number. */
  readonly slots = new Map<number, Slot>();
  readonly groups = new Groups(this);
  readonly recorder: Recorder;
  readonly observer: Observer | undefined;
  /** The coordinator that has it in memory, so that the watchdog finds whose code it is. */
  owner: string | undefined;
  closed = false;
  /** The last inbox sequence that was folded. */
  folded = 0;
  /** The inbox sequence of the message that started it; 0 after a `continueAsNew`. */
  #startedBy = 0;
  /** Work that the run waits for; the timers that it did not ask for are not counted. */
  openSlots = 0;
  lastSlot = 0;
  life: Life | undefined;
  /** When the run was first started. */
  startedAtMs = 0;
  /** The workflow function has been called. */
  hasBegun = false;

  /** Up to this message the journal has the decisions already. */
  readonly #recordedUpTo: number;
  readonly #whose: Whose = { execution: this, query: undefined };
  #done: number[] = [];
  #early: EarlyTimer[] = [];
  #forgotten: (Slot | Wait)[] = [];
  #turnOpen = false;
  #continued = 0;
  /** Where the workflow's code last asked to go on as new, if it was asked too often. */
  #continuedAt = "";
  /** In this turn: what was decided, and what was asked for without deciding anything. */
  #decided = 0;
  #idle = 0;
  /** Macrotasks of this turn. */
  #rounds = 0;
  #now = 0;
  #random: () => number;

  /**
   * @param recorded - All events of the run's journal so far, in order; or those after the last RunContinued.
   * @param recordedUpTo - The last inbox sequence that the journal has consumed.
   * @param observer - For debugging.
   */
  constructor(
    runId: string,
    workflow: AnyWorkflow,
    recorded: readonly RunEvent[] = [],
    recordedUpTo = 0,
    observer?: Observer,
  ) {
    this.runId = runId;
    this.observer = observer;
    this.workflow = workflow;
    this.recorder = new Recorder(runId, recorded);
    this.#recordedUpTo = recordedUpTo;
    this.#random = seededRandom(runId);
  }

  get started(): RunStarted | undefined {
    return this.life?.started;
  }
  get cancelRequest(): CancelRequest | undefined {
    return this.life?.cancelRequest;
  }
  get fault(): Fault | undefined {
    return this.recorder.fault;
  }
  /** Tells the run from an earlier one of the same id, which was deleted: ids of messages are remembered for a while. */
  get mark(): string {
    return markOf(this.runId, this.startedAtMs);
  }
  /** Whose run it is, for errors. */
  get where(): { run: string } {
    return { run: this.runId };
  }
  /** In a turn whose decisions are in the journal? */
  get replaying(): boolean {
    return this.folded <= this.#recordedUpTo;
  }
  /** Waits for something that nobody has promised: a signal, an update. No command, timer or child will wake it. */
  get waitsForOutside(): boolean {
    return !this.closed && this.openSlots === 0 && (this.life?.waits.size ?? 0) > 0;
  }

  // ---------------------------------------------------------------- turns

  /** Folds one inbox message in. `atMs` is when the log stored it. */
  fold(seq: number, atMs: number, message: InboxMessage): void {
    if (seq <= this.folded) return;
    this.folded = seq;
    this.#now = Math.max(this.#now, atMs);
    if (this.closed || this.fault) return;
    this.#turn(message);
  }

  /** Takes a run up where it last went on as new, instead of folding what was before. */
  resume({ after, at, start }: RunContinued): void {
    this.folded = after;
    this.#now = at;
    this.#turn(start, true);
  }

  #turn(message: InboxMessage, resumed = false): void {
    const before = enter(this.#whose);
    try {
      this.holds(!this.#turnOpen, "run R4", "a message came before the turn of the one before it was over");
      this.#beginTurn();
      if (resumed) this.#begin(message as RunStarted);
      else this.#apply(message);
    } catch (error) {
      this.#passOn(error);
    } finally {
      leave(before);
    }
  }

  /**
   * Asserts one of the numbered promises. One that does not hold is the run's fault at once: workflow code may catch what
   * is thrown.
   *
   * @throws {InvariantError}
   */
  holds(isSo: boolean, promise: string, what: string | (() => string), slot?: number): void {
    // At every decision, slot and turn: what holds costs nothing more.
    if (isSo) return;
    try {
      invariant(isSo, promise, { run: this.runId, slot }, what);
    } catch (error) {
      this.recorder.fault ??= error as InvariantError;
      this.observer?.faulted();
      throw error;
    }
  }

  /** Nothing that a violated promise throws comes out of a turn: the run has its fault. */
  contain(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#passOn(error);
    }
  }

  #passOn(error: unknown): void {
    if (!(error instanceof InvariantError && this.fault)) throw error;
  }

  #beginTurn(): void {
    this.#turnOpen = true;
    turnBegan(this);
    keepGuarded();
    this.#continued = 0;
    this.#decided = 0;
    this.#idle = 0;
    this.#rounds = 0;
    if (!this.life) return;
    this.life.length++;
    this.life.waits.beginTurn();
  }

  /** After a macrotask: does more follow from the message? Then wait for the next macrotask and ask again. */
  advance(): boolean {
    const { life } = this;
    if (!life || !this.#turnOpen || this.fault || this.closed) return false;
    const before = enter(this.#whose);
    try {
      this.holds(++this.#rounds <= MAX_ROUNDS, "run R6", "a turn does not end");
      // Once the function has ended, what it left open is given up first.
      if ((!life.ended || life.closing.begun) && life.deliverSignal()) return true;
      if (life.waits.check()) return true;
      return life.ended !== undefined && life.closing.advance(life.ended);
    } catch (error) {
      this.#passOn(error);
      return false;
    } finally {
      leave(before);
    }
  }

  /** What the turn decided: call it when nothing more follows, once. The list is the caller's. */
  endTurn(): Decided[] {
    const { life } = this;
    if (this.#turnOpen && life && !life.ended && this.hasBegun && !this.fault && !this.closed) {
      if (this.openSlots === 0 && life.waits.size === 0)
        this.#stall("its workflow awaits something, but has asked `w` for nothing that is still to come.");
    }
    this.#turnOpen = false;
    turnEnded(this);
    try {
      if (thorough) this.#checkTurn();
      return this.recorder.take();
    } catch (error) {
      this.#passOn(error);
      return [];
    }
  }

  /** What is true between two turns. Looks at every slot: for tests and the simulation. */
  #checkTurn(): void {
    if (this.fault || this.closed || !this.life) return;
    let open = 0;
    for (const slot of this.slots.values()) {
      const { slot: number, state, purpose, scope, cancelled } = slot;
      this.holds(number <= this.lastSlot, "run R1", `it is beyond the last slot, ${this.lastSlot}`, number);
      if (state !== "done" && !purpose) open++;
      if (state === "cancelling")
        this.holds(cancelled !== undefined, "life L2", "it is cancelled without a reason", number);
      if (state === "open" && slot.kind === "timer" && !purpose)
        this.holds(!scope?.cancelled, "scope C2", "its scope is cancelled, and it is not", number);
    }
    this.holds(open === this.openSlots, "run R1", () => `${open} slots are open, and ${this.openSlots} are counted`);
    this.life.check();
  }

  /** After a replay: is all that was recorded decided again? Sets `fault` if not. */
  checkReplayed(extra: readonly Decided[]): void {
    this.recorder.checkReplayed(extra);
  }

  /** @throws {InvalidInputError} To workflow code: what it passed cannot be stored. */
  decide(event: RunEvent, payload?: Payload): void {
    if (this.fault || this.closed) return;
    // R4. What is decided outside of a turn would be decided at another place in a replay.
    if (!this.#turnOpen) return void this.stray(`What led to ${event.type}`);
    this.holds(!frames.getStore()?.readOnly, "life L3", () => `${event.type} was decided by code that only looks`);
    if (++this.#decided > MAX_PER_TURN) return this.#endless(`decided more than ${count(MAX_PER_TURN)} things`);
    if (this.#idle > 0) this.#idle--;
    try {
      this.recorder.decide(event, payload);
    } catch (error) {
      if (frames.getStore() || error instanceof InvariantError) throw error;
      const { message } = error as Error;
      const why = error instanceof MessageTooLargeError ? message : `its history could not be read again: ${message}`;
      this.#stall(why, "Terminate the run.");
    }
    if (this.fault) this.observer?.faulted();
    if (this.life) this.life.length++;
    if (!isTerminal(event) || this.fault) return;
    this.closed = true;
    this.#endTimers();
  }

  /**
   * Workflow code asks `w` for something. Counts it, unless it leads to a decision: those are counted themselves.
   *
   * Without a limit a loop that catches what is rejected at once would keep its process from everything else.
   *
   * @returns Must the code stop? Then it gets no answer.
   */
  asks(what: string): boolean {
    if (this.fault || this.closed) return true;
    if (++this.#idle <= MAX_ANSWERED_AT_ONCE || frames.getStore()?.readOnly) return false;
    this.#endless(`called ${what} and the like more than ${count(MAX_ANSWERED_AT_ONCE)} times`);
    return true;
  }

  #endless(what: string): void {
    this.#stall(
      `its workflow ${what} in one turn, without waiting for anything${here()}.`,
      "Each round of a loop must wait for something; after a cancel, everything that it asks for fails at once. " +
        "Deploy code that ends the loop, or terminate the run.",
    );
    this.observer?.faulted();
  }

  /** Workflow code that goes on outside its turn waited for something that is in no history. @returns must it stop? */
  stray(what: string): boolean {
    if (this.#turnOpen || this.closed) return this.closed || this.fault !== undefined;
    this.recorder.fault ??= new StalledError(
      this.runId,
      `${what} came after a wait for something that \`w\` did not give.`,
    );
    this.observer?.faulted();
    return true;
  }

  /** Its code was stopped: whatever of it still runs decides nothing more. */
  stop(fault: StalledError): void {
    this.recorder.fault = fault;
  }

  #stall(why: string, advice?: string): void {
    this.recorder.fault ??= new StalledError(this.runId, why, advice);
  }

  // ---------------------------------------------------------------- what messages do

  #apply(message: InboxMessage): void {
    const { life } = this;
    if (message.type === "RunStarted") {
      if (!life) {
        this.startedAtMs = message.since ?? this.#now;
        this.#begin(message);
      }
      return;
    }
    if (!life) return;
    if ("after" in message && isForEarlierRun(message, this.#startedBy)) return;
    switch (message.type) {
      case "StepCompleted": {
        const slot = this.#stepOf(message);
        return slot && this.#complete(slot, slot.step, message.output, message.attempt);
      }
      case "StepFailed": {
        const slot = this.#stepOf(message);
        return slot && this.settle(slot, this.#stepError(slot, slot.step, message.attempt, fromFailure(message.error)));
      }
      case "StepCancelled": {
        const slot = this.#stepOf(message);
        return slot && this.settle(slot, this.#reasonOf(slot));
      }
      case "SlotAbandoned": {
        const slot = this.#slotOf(message);
        if (slot?.state === "cancelling") this.settle(slot, this.#reasonOf(slot));
        return;
      }
      case "SlotTimedOut": {
        const slot = this.#slotOf(message);
        if (!slot?.step) return;
        const ms = timeoutOf(slot.step, message.kind) ?? this.#now - slot.scheduledAt;
        return this.settle(slot, this.#stepError(slot, slot.step, slot.attempt, new TimeoutError(message.kind, ms)));
      }
      case "StepStartedTwice":
        return; // For people: what the second start came to has no part in the run.
      case "RetryLater": {
        const slot = this.#stepOf(message);
        return slot && this.#retryLater(slot, message);
      }
      case "TimerFired": {
        const slot = this.#slotOf(message);
        return slot && (this.#isEarly(slot) ? this.#ignore(slot) : this.#fire(slot));
      }
      case "ChildEnded": {
        const slot = this.#slotOf(message);
        if (slot?.child?.run === message.child) this.#childEnded(slot, slot.child, message);
        return;
      }
      case "SignalReceived":
        return life.takes ? life.signals.receive(message) : undefined;
      case "UpdateRequested":
        return life.takes ? life.updates.receive(message) : undefined;
      case "CancelRequested":
        return life.cancel(message.id, { ...message, graceMs: message.graceMs, cleanupMs: message.cleanupMs });
      case "TerminateRequested":
        return this.#terminate(message.reason);
      default:
        return message satisfies never;
    }
  }

  #retryLater(slot: Slot, { attempt, delayMs }: Extract<InboxMessage, { type: "RetryLater" }>): void {
    if (slot.state === "cancelling") return this.settle(slot, this.#reasonOf(slot));
    if (slot.state !== "open" || attempt <= slot.attempt) return;
    slot.state = "waiting";
    slot.cause = this.folded;
    slot.attempt = attempt;
    slot.fireAt = Math.min(MAX_TIME_MS, this.#now + Math.ceil(delayMs));
    this.decide({ type: "RetryScheduled", slot: slot.slot, attempt, fireAt: slot.fireAt });
  }

  #begin(started: RunStarted): void {
    this.lastSlot = Math.max(this.lastSlot, started.slots ?? 0);
    // A replay may begin with this life, so its chance must not depend on what was drawn before.
    if (started.since !== undefined) this.#random = seededRandom(`${this.runId}/${this.lastSlot}/${this.#now}`);
    this.#startedBy = started.since === undefined ? this.folded : 0;
    this.startedAtMs = started.since ?? this.startedAtMs;
    this.hasBegun = started.delayMs === undefined;
    this.life = new Life(this, started);
    this.life.begin();
  }

  /** Workflow code asks to go on as new. Where it stands costs a stack, so it is noted only for the message. */
  asksToContinue(): void {
    if (this.#continued >= MAX_CONTINUED) this.#continuedAt = here();
  }

  /** The run goes on as new, in the same turn. */
  goOn(inputText: string): void {
    const life = this.life!;
    const { id, workflow, version, trace, link, baggage, parent, timeoutMs } = life.started;
    this.#endTimers();
    if (++this.#continued > MAX_CONTINUED)
      return this.#stall(
        `its workflow called w.continueAsNew() more than ${MAX_CONTINUED} times in one turn, without waiting for ` +
          `anything${this.#continuedAt}.`,
        "Each run segment must wait for something. Deploy code that does, or that returns, or terminate the run.",
      );
    const signals = life.signals.left;
    const updates = life.updates.handOver();
    const seen = life.seen.latest;
    const start: RunStarted = {
      v: 1,
      type: "RunStarted",
      id,
      workflow,
      version,
      ...(inputText === "" ? {} : { input: JSON.parse(inputText) }),
      ...(trace && { trace }),
      ...(link && { link }),
      ...(baggage && { baggage }),
      ...(parent && { parent }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      slots: this.lastSlot,
      since: this.startedAtMs,
      ...(signals.length > 0 && { signals }),
      ...(updates.length > 0 && { updates }),
      ...(seen.length > 0 && { seen }),
    };
    this.decide({ type: "RunContinued", after: this.folded, at: this.#now, start });
    if (this.fault) return;
    this.slots.clear();
    this.#begin(start);
  }

  /** The time of the messages is what counts, whoever says that the timer has fired. */
  #isEarly(slot: Slot): boolean {
    return slot.fireAt !== undefined && this.#now < slot.fireAt && (slot.kind === "timer" || slot.state === "waiting");
  }

  /** Its stored timer may be used up by this message, so that it has to be armed again. */
  #ignore(slot: Slot): void {
    slot.early++;
    if (!this.replaying) this.#early.push({ slot: slot.slot, seq: this.folded, at: this.#now, fireAt: slot.fireAt! });
  }

  /** The timers that have fired early, and were ignored, since this was last asked. */
  takeEarly(): EarlyTimer[] {
    const early = this.#early;
    if (early.length > 0) this.#early = [];
    return early;
  }

  /** What the workflow function has left open at its end, without awaiting it. */
  forget(open: readonly (Slot | Wait)[]): void {
    this.#forgotten.push(...open);
  }

  /** What was left open since this was last asked; `when` is of use to those who replay. */
  takeForgotten(): (Slot | Wait)[] {
    const forgotten = this.#forgotten;
    if (forgotten.length > 0) this.#forgotten = [];
    return forgotten;
  }

  #fire(slot: Slot): void {
    if (slot.kind === "timer") {
      this.settle(slot);
      if (slot.purpose === "delay") {
        this.hasBegun = true;
        this.life!.call();
      } else if (slot.purpose === "timeout") this.life!.timeOut();
      else if (slot.purpose === "cleanup") {
        const ms = slot.fireAt! - slot.scheduledAt;
        this.#terminate(`${this.cancelRequest?.reason} (its clean-up took longer than ${ms} ms)`);
      }
    } else if (slot.state === "waiting") {
      slot.state = "open";
      slot.fireAt = undefined;
      this.decide({ type: "StepRescheduled", slot: slot.slot, attempt: slot.attempt });
    }
  }

  #complete(slot: Slot, step: StepSlot, output: unknown, attempt: number): void {
    const read = fromWire(step.definition.output, output);
    if (read.ok) return this.settle(slot, undefined, deepFreeze(read.value));
    const what = `step "${step.definition.name}"`;
    const where = { run: this.runId, slot: slot.slot, attempt };
    const error = new InvalidOutputError(what, read.path, read.message, where);
    this.settle(slot, this.#stepError(slot, step, attempt, error));
  }

  #childEnded(slot: Slot, child: ChildSlot, { outcome, output, error }: ChildEnded): void {
    const { name } = child.definition;
    const fail = (cause: Error) =>
      this.settle(slot, new ChildError({ run: this.runId, slot: slot.slot, child: child.run, workflow: name }, cause));
    if (outcome !== "completed") {
      if (slot.cancelled && (outcome === "cancelled" || outcome === "terminated"))
        return this.settle(slot, slot.cancelled);
      return fail(error ? fromFailure(error) : new WorkflowCancelledError(child.run, outcome));
    }
    const read = fromWire(child.definition.output, output);
    if (read.ok) return this.settle(slot, undefined, deepFreeze(read.value));
    fail(new InvalidOutputError(`workflow "${name}"`, read.path, read.message, { run: child.run }));
  }

  #terminate(reason: string): void {
    const children = [...this.slots.values()].flatMap(({ slot, state, child }) =>
      child && state !== "done" && child.onParentClose !== "abandon"
        ? [{ run: child.run, slot, how: child.onParentClose }]
        : [],
    );
    this.decide({ type: "RunTerminated", reason, ...(children.length > 0 && { children }) });
  }

  /** The open slot that is meant. Who speaks of it may mean one of a run that had the id before, and was deleted. */
  #slotOf({ slot: number, after }: { slot: number; after?: number | undefined }): Slot | undefined {
    const slot = this.slots.get(number);
    return slot && slot.state !== "done" && (after === undefined || after === slot.after) ? slot : undefined;
  }

  /** Only what names slot and step as the history does is about this slot. */
  #stepOf(message: {
    slot: number;
    step: string;
    after?: number | undefined;
  }): (Slot & { step: StepSlot }) | undefined {
    const slot = this.#slotOf(message);
    return slot?.step?.definition.name === message.step ? (slot as Slot & { step: StepSlot }) : undefined;
  }

  /** Code of the run threw where nothing catches it: in an abort listener, a microtask, an event emitter. */
  onUncaught(frame: Frame, error: unknown): void {
    // What only looks has changed nothing by failing; and a run segment that is over is not failed any more.
    if (frame.readOnly || this.fault || this.closed || frame.rejections !== this.life?.rejections) return;
    this.life.fail(error);
  }

  // ---------------------------------------------------------------- what is asked of it

  now(): number {
    return this.#now;
  }
  random(): number {
    if (frames.getStore()?.readOnly) throw new ForbiddenInQueryError("w.random()", this.runId);
    return this.#random();
  }
  uuid(): string {
    return uuidOf(() => this.random());
  }

  /** Answers a query: what the handler returned, checked. @throws {QueryFailedError} */
  query(name: string, input: unknown): unknown {
    const stopped = stoppedQueries.get(queryKey(this, name));
    if (stopped) throw new QueryFailedError(this.runId, name, stopped);
    return onBehalfOf(this, () => this.life!.query(name, input), name);
  }

  // ---------------------------------------------------------------- slots

  /** @param inputText - As `stepInputText` returned it. */
  openStep(
    definition: AnyStep,
    inputText: string,
    options: RunOptions | undefined,
    compensation: boolean,
  ): Promise<unknown> {
    this.decide(
      { type: "StepScheduled", slot: this.lastSlot + 1, step: definition.name },
      { key: "input", json: inputText, rest: compensation ? { compensation } : undefined },
    );
    return this.#open("step", { step: { definition, options, inputText, compensation } });
  }

  openChild(child: ChildSlot): Promise<unknown> {
    const { run, definition, inputText, onParentClose, delayMs, timeoutMs, trace } = child;
    const { name: workflow, version } = definition;
    const slot = this.lastSlot + 1;
    const rest = {
      onParentClose,
      ...(delayMs !== undefined && { delayMs }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(trace && { trace }),
    };
    const head = { type: "ChildScheduled", slot, run, workflow, version } as RunEvent;
    this.decide(head, { key: "input", json: inputText, rest });
    return this.#open("child", { child });
  }

  /** @param purpose - What it is for, if the workflow did not ask for it. */
  openTimer(fireAt: number, purpose: TimerPurpose | undefined, scope: Scope | undefined): Promise<unknown> {
    const at = Math.min(MAX_TIME_MS, Math.ceil(fireAt));
    this.decide({ type: "TimerStarted", slot: this.lastSlot + 1, fireAt: at, ...(purpose && { for: purpose }) });
    return this.#open("timer", { fireAt: at, purpose, scope });
  }

  #open(
    kind: Slot["kind"],
    what: Partial<Pick<Slot, "step" | "child" | "fireAt" | "purpose" | "scope">>,
  ): Promise<unknown> {
    const number = ++this.lastSlot;
    if (number > MAX_SLOT)
      this.#stall(`it has used the last slot, ${MAX_SLOT}.`, "Terminate the run, and start it again under another id.");
    this.holds(!this.slots.has(number), "slot R1", "it is opened twice", number);
    const { promise, resolve, reject } = deferred<unknown>();
    const { step, child, fireAt, purpose } = what;
    const scope = purpose ? undefined : (what.scope ?? frames.getStore()?.scope);
    if (scope && !this.fault && !this.closed)
      this.holds(!scope.cancelled, "scope C1", "it is opened in a scope that is cancelled", number);
    const slot: Slot = {
      slot: number,
      kind,
      state: "open",
      scheduledAt: this.#now,
      after: this.folded,
      cause: this.folded,
      attempt: 1,
      early: 0,
      fireAt,
      cancelled: undefined,
      step,
      child,
      purpose,
      scope,
      resolve,
      reject,
    };
    this.slots.set(number, slot);
    this.observer?.asked(slot);
    if (!purpose) this.openSlots++;
    scope?.add(number);
    return this.groups.own(promise, { slot: number });
  }

  /** @returns JSON of a step's input, checked against its schema; empty for undefined. @throws {InvalidInputError} */
  stepInputText(definition: AnyStep, input: unknown): string {
    return this.#inputText(`step "${definition.name}"`, definition, input);
  }

  childInputText(definition: AnyWorkflow, input: unknown): string {
    return this.#inputText(`workflow "${definition.name}"`, definition, input);
  }

  #inputText(what: string, definition: AnyStep | AnyWorkflow, input: unknown): string {
    const sent = toWire(definition.input, input);
    if (!sent.ok) throw new InvalidInputError(what, sent.path, sent.message, this.where);
    return encodePayload(`the input of ${what}`, sent.value);
  }

  /** Asks for the given slots to be given up, as far as they are open. Timers end at once. */
  cancelSlots(numbers: Iterable<number>, reason: Error): void {
    const slots = [...numbers].flatMap((n) => {
      const slot = this.slots.get(n);
      return slot && (slot.state === "open" || slot.state === "waiting") ? [slot] : [];
    });
    if (slots.length === 0 || this.stray("cancelling steps")) return;
    const why = reason instanceof WorkflowCancelledError ? reason.reason : reason.message;
    this.decide({ type: "SlotsCancelled", slots: slots.map((s) => s.slot), reason: why });
    markCancelReason(reason);
    for (const slot of slots) {
      // Named twice, by itself and by its scope.
      if (slot.state !== "open" && slot.state !== "waiting") continue;
      slot.cancelled = reason;
      // A waiting step has no command out, a child that is left alone is not asked: nobody has to answer.
      const alone = slot.kind === "timer" || slot.state === "waiting" || slot.child?.onParentClose === "abandon";
      if (alone) this.settle(slot, reason);
      else {
        slot.state = "cancelling";
        slot.cause = this.folded;
      }
    }
  }

  /** The slots that have got their outcome since this was last asked. */
  takeDone(): number[] {
    const done = this.#done;
    this.#done = [];
    return done;
  }

  /** A slot's outcome. */
  settle(slot: Slot, error?: Error, value?: unknown): void {
    this.holds(slot.state !== "done", "slot R1", "it has an outcome, and another came", slot.slot);
    slot.state = "done";
    this.#done.push(slot.slot);
    if (!slot.purpose) this.holds(--this.openSlots >= 0, "run R1", "more slots have ended than were opened", slot.slot);
    slot.scope?.delete(slot.slot);
    // What a cancelled slot fails with is of no interest to anybody.
    if (error && slot.cancelled) markCancelReason(error);
    if (error) slot.reject(error);
    else slot.resolve(value);
  }

  /** The timers that the workflow did not ask for end with its life, and nobody waits for them. */
  #endTimers(): void {
    for (const slot of this.slots.values()) if (slot.purpose && slot.state !== "done") this.settle(slot);
  }

  // ---------------------------------------------------------------- errors

  /** The workflow's own failure, as it is told to people. */
  failure(error: unknown): StepstreamError {
    const thrown = tamed(error);
    const tells = [StepError, ValidationError, ChildError, WorkflowFailedError, TimeoutError, UnhandledRejectionError];
    return tells.some((known) => thrown instanceof known)
      ? (thrown as StepstreamError)
      : new WorkflowFailedError(this.runId, thrown);
  }

  #stepError(slot: Slot, step: StepSlot, attempt: number, cause: Error): StepError {
    const where = { run: this.runId, step: step.definition.name, slot: slot.slot, attempt };
    return new StepError(where, step.inputText === "" ? undefined : decodeValue(JSON.parse(step.inputText)), cause);
  }

  #reasonOf(slot: Slot): Error {
    return slot.cancelled ?? this.life!.cancelledError();
  }
}

/** A message that a timer has fired, which was stored before the timer's time. */
export interface EarlyTimer {
  readonly slot: number;
  /** The inbox message. */
  readonly seq: number;
  /** When it was stored, in epoch milliseconds. */
  readonly at: number;
  readonly fireAt: number;
}

/** @param startedAtMs - When the run was first started. */
export function markOf(run: string, startedAtMs: number): string {
  return `${run}.${startedAtMs.toString(36)}`;
}

function timeoutOf(step: StepSlot, kind: "queue" | "total"): number | undefined {
  const { timeout } = step.definition;
  return kind === "queue" ? timeout.queueMs : timeout.totalMs;
}

function count(n: number): string {
  return n.toLocaleString("en");
}

/** Where in the workflow's code: ` at /app/order.ts:12:7`. Empty where that is not known. */
function here(): string {
  const [innermost] = positions();
  if (!innermost) return "";
  const { file, line, column, name } = innermost;
  return ` at ${file}:${line}:${column}${name ? ` (${name})` : ""}`;
}
