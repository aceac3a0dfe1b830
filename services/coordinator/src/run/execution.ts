import {
  fromFailure,
  type InboxMessage,
  InvalidInputError,
  InvalidOutputError,
  isTerminal,
  NonDeterminismError,
  pathOf,
  RemoteError,
  type RunEvent,
  type RunStarted,
  StalledError,
  StepError,
  type StepstreamError,
  TimeoutError,
  toFailure,
  ValidationError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow, RunOptions } from "@stepstream/sdk";
import { seededRandom, uuidOf } from "./chance.ts";
import { Closing } from "./closing.ts";
import { createContext } from "./context.ts";
import { frames, Scope } from "./frame.ts";
import { Groups } from "./groups.ts";
import { sameDecision } from "./same-decision.ts";
import type { Slot, StepSlot } from "./slot.ts";

/** An event, and its JSON as it goes into the journal: taken when it was decided, so nobody changes it after. */
export interface Decided {
  readonly event: RunEvent;
  readonly text: string;
}

/**
 * One run of a workflow, alive in memory: what its inbox makes it decide.
 *
 *   fold(message)   a turn begins: what the message resolves, goes on in microtasks
 *   endTurn()       after the next macrotask: what was decided
 *
 * Pure: time comes from the messages, chance from the run's id. The same messages in the same order give
 * the same decisions on any machine, in any year.
 *
 * R1. A slot has one outcome.
 * R2. A closed run takes no more events.
 * R3. A message seen twice decides nothing the second time.
 * R4. One message resolves in one turn; promises resolve in the order of the stream.
 * R5. What was decided before is decided again, or the run has a `fault` and decides nothing more.
 */
export class RunExecution {
  readonly runId: string;
  readonly workflow: AnyWorkflow;
  readonly slots = new Map<number, Slot>();
  readonly groups = new Groups((slots, reason) => this.cancelSlots(slots, reason));
  /** Why the run cannot go on here: it is to be parked. Nothing that was decided since is to be written. */
  fault: NonDeterminismError | StalledError | undefined;
  started: RunStarted | undefined;
  startedAtMs = 0;
  closed = false;
  /** The last inbox sequence that was folded. */
  folded = 0;
  openSlots = 0;
  cancelRequest: { reason: string; graceMs: number | undefined } | undefined;

  readonly #recorded: readonly RunEvent[];
  #decided = 0;
  #fresh: Decided[] = [];
  #done: number[] = [];
  #turnOpen = false;
  #now = 0;
  #random: () => number;
  #lastSlot = 0;
  #ended: { ok: true; value: unknown } | { ok: false; error: unknown } | undefined;
  /** Requests that were taken note of: a repeat of one changes nothing. */
  readonly #cancelIds = new Set<string>();
  readonly #abort = new AbortController();
  readonly #closing = new Closing(this);

  /** @param recorded - All events of the run's journal so far, in order. */
  constructor(runId: string, workflow: AnyWorkflow, recorded: readonly RunEvent[] = []) {
    this.runId = runId;
    this.workflow = workflow;
    this.#recorded = recorded;
    this.#random = seededRandom(runId);
  }

  // ---------------------------------------------------------------- turns

  /** Folds one inbox message in. `atMs` is when the log stored it. */
  fold(seq: number, atMs: number, message: InboxMessage): void {
    if (seq <= this.folded) return;
    this.folded = seq;
    this.#now = Math.max(this.#now, atMs);
    if (this.closed || this.fault) return;
    this.#turnOpen = true;
    this.#apply(message);
  }

  /** What the turn decided: call it after the next macrotask, once. The list is the caller's. */
  endTurn(): Decided[] {
    if (this.#turnOpen && !this.fault && !this.closed) {
      if (this.#ended) this.#closing.advance(this.#ended);
      else if (this.started && this.openSlots === 0)
        this.fault = new StalledError(
          this.runId,
          "its workflow awaits something, but has asked `w` for nothing that is still to come.",
        );
    }
    this.#turnOpen = false;
    const decided = this.#fresh;
    this.#fresh = [];
    return this.fault ? [] : decided;
  }

  /** After a replay: is all that was recorded decided again? Sets `fault` if not. */
  checkReplayed(extra: readonly Decided[]): void {
    if (this.fault) return;
    if (this.#decided < this.#recorded.length)
      this.fault = new NonDeterminismError(this.runId, this.#decided + 1, this.#recorded[this.#decided], undefined);
    else if (extra.length > 0)
      this.fault = new NonDeterminismError(this.runId, this.#recorded.length + 1, undefined, extra[0]!.event);
  }

  decide(event: RunEvent, text = JSON.stringify(event)): void {
    if (this.fault || this.closed) return;
    const recorded = this.#recorded[this.#decided];
    if (recorded && !sameDecision(recorded, JSON.parse(text) as RunEvent)) {
      this.fault = new NonDeterminismError(this.runId, this.#decided + 1, recorded, JSON.parse(text));
      return;
    }
    this.#decided++;
    if (!recorded) this.#fresh.push({ event, text });
    if (isTerminal(event)) this.closed = true;
  }

  // ---------------------------------------------------------------- what messages do

  #apply(message: InboxMessage): void {
    switch (message.type) {
      case "RunStarted":
        if (!this.started) this.#start(message);
        return;
      case "StepCompleted":
        return this.#withStep(message, (slot, step) => this.#complete(slot, step, message.output, message.attempt));
      case "StepFailed":
        return this.#withStep(message, (slot, step) =>
          this.settle(slot, this.#stepError(slot, step, message.attempt, fromFailure(message.error))),
        );
      case "StepCancelled":
        return this.#withStep(message, (slot) => this.settle(slot, this.#cancelledError()));
      case "SlotAbandoned":
        return this.#withSlot(message.slot, (slot) => {
          if (slot.state === "cancelling") this.settle(slot, this.#cancelledError());
        });
      case "SlotTimedOut":
        return this.#withSlot(message.slot, (slot) => {
          if (!slot.step) return;
          const ms = timeoutOf(slot.step, message.kind) ?? this.#now - slot.scheduledAt;
          this.settle(slot, this.#stepError(slot, slot.step, slot.attempt, new TimeoutError(message.kind, ms)));
        });
      case "RetryLater":
        return this.#withStep(message, (slot) => {
          if (slot.state === "cancelling") return this.settle(slot, this.#cancelledError());
          if (slot.state !== "open" || message.attempt <= slot.attempt) return;
          slot.state = "waiting";
          slot.cause = this.folded;
          slot.attempt = message.attempt;
          slot.fireAt = this.#now + Math.ceil(message.delayMs);
          this.decide({ type: "RetryScheduled", slot: slot.slot, attempt: slot.attempt, fireAt: slot.fireAt });
        });
      case "TimerFired":
        return this.#withSlot(message.slot, (slot) => {
          if (slot.kind === "timer") this.settle(slot);
          else if (slot.state === "waiting" && this.#now >= slot.fireAt!) {
            slot.state = "open";
            slot.fireAt = undefined;
            this.decide({ type: "StepRescheduled", slot: slot.slot, attempt: slot.attempt });
          }
        });
      case "CancelRequested":
        return this.#cancel(message.id, message.reason, message.graceMs);
      default:
        return message satisfies never;
    }
  }

  #start(message: RunStarted): void {
    this.started = message;
    this.startedAtMs = this.#now;
    const input = this.workflow.input.safeParse(message.input);
    if (!input.success) {
      const issue = input.error.issues[0]!;
      const what = `workflow "${this.workflow.name}"`;
      this.#end({
        ok: false,
        error: new InvalidInputError(what, pathOf(issue.path), issue.message, { run: this.runId }),
      });
      return;
    }
    const context = createContext(this, this.#abort.signal);
    frames.run({ execution: this, scope: new Scope() }, async () => {
      try {
        this.#end({ ok: true, value: await this.workflow.run(input.data, context) });
      } catch (error) {
        this.#end({ ok: false, error });
      }
    });
  }

  /** The workflow function has ended; only the first end counts. */
  #end(ended: { ok: true; value: unknown } | { ok: false; error: unknown }): void {
    this.#strayCheck("the workflow ended");
    this.#ended ??= ended;
  }

  onUnhandledRejection(reason: unknown): void {
    if (!this.fault && !this.closed) this.#end({ ok: false, error: reason });
  }

  #complete(slot: Slot, step: StepSlot, output: unknown, attempt: number): void {
    const read = step.definition.output.safeParse(output);
    if (read.success) return this.settle(slot, undefined, read.data);
    const issue = read.error.issues[0]!;
    const what = `step "${step.definition.name}"`;
    const where = { run: this.runId, slot: slot.slot, attempt };
    const error = new InvalidOutputError(what, pathOf(issue.path), issue.message, where);
    this.settle(slot, this.#stepError(slot, step, attempt, error));
  }

  #cancel(id: string, reason: string, graceMs: number | undefined): void {
    if (this.#ended || !this.started || this.#cancelIds.has(id)) return;
    this.#cancelIds.add(id);
    this.decide({ type: "CancelAccepted", id, reason, ...(graceMs === undefined ? {} : { graceMs }) });
    if (this.cancelRequest) return;
    this.cancelRequest = { reason, graceMs };
    this.cancelSlots(this.slots.keys(), reason);
    frames.run({ execution: this, scope: new Scope() }, () => this.#abort.abort(this.#cancelledError()));
  }

  #withSlot(number: number, then: (slot: Slot) => void): void {
    const slot = this.slots.get(number);
    if (slot && slot.state !== "done") then(slot);
  }

  /** Only what names slot and step as the history does is about this slot. */
  #withStep(message: { slot: number; step: string }, then: (slot: Slot, step: StepSlot) => void): void {
    this.#withSlot(message.slot, (slot) => {
      if (slot.step?.definition.name === message.step) then(slot, slot.step);
    });
  }

  // ---------------------------------------------------------------- what the workflow asks for

  now(): number {
    return this.#now;
  }
  random(): number {
    return this.#random();
  }
  uuid(): string {
    return uuidOf(this.#random);
  }

  /**
   * Opens a slot for a step.
   * @throws {InvalidInputError} The input does not fit; nothing was scheduled.
   */
  runStep(definition: AnyStep, input: unknown, options?: RunOptions, compensation = false): Promise<unknown> {
    if (this.#strayCheck(`w.run(${definition.name})`)) return never();
    if (this.cancelRequest && !compensation) return Promise.reject(this.#cancelledError());
    const inputText = this.inputText(definition, input);
    const slot = this.#lastSlot + 1;
    const head: RunEvent = { type: "StepScheduled", slot, step: definition.name, input: undefined };
    let text = JSON.stringify(head).slice(0, -1);
    if (inputText !== "") text += `,"input":${inputText}`;
    text += compensation ? `,"compensation":true}` : "}";
    this.decide(compensation ? { ...head, compensation } : head, text);
    return this.#open("step", undefined, { definition, options, inputText, compensation });
  }

  /** Opens a slot for a timer. */
  startTimer(ms: number): Promise<unknown> {
    if (this.#strayCheck("w.sleep()")) return never();
    if (this.cancelRequest) return Promise.reject(this.#cancelledError());
    const fireAt = this.#now + Math.ceil(ms);
    this.decide({ type: "TimerStarted", slot: this.#lastSlot + 1, fireAt });
    return this.#open("timer", fireAt, undefined);
  }

  /** JSON of a step's input, checked against its schema; empty for undefined. */
  inputText(definition: AnyStep, input: unknown): string {
    const what = `step "${definition.name}"`;
    const read = definition.input.safeParse(input);
    if (!read.success) {
      const issue = read.error.issues[0];
      throw new InvalidInputError(what, pathOf(issue.path), issue.message, { run: this.runId });
    }
    try {
      return JSON.stringify(input) ?? "";
    } catch (error) {
      throw new InvalidInputError(what, "", `it is no JSON (${(error as Error).message})`, { run: this.runId });
    }
  }

  /** Asks for the given slots to be given up, as far as they are open. Timers end at once. */
  cancelSlots(numbers: Iterable<number>, reason: string): void {
    const slots = [...numbers]
      .map((n) => this.slots.get(n)!)
      .filter((s) => s.state === "open" || s.state === "waiting");
    if (slots.length === 0 || this.#strayCheck("cancelling steps")) return;
    this.decide({ type: "SlotsCancelled", slots: slots.map((s) => s.slot), reason });
    for (const slot of slots) {
      // A waiting step has no command out, so nobody has to answer.
      if (slot.kind === "timer" || slot.state === "waiting") this.settle(slot, this.#cancelledError(reason));
      else {
        slot.state = "cancelling";
        slot.cause = this.folded;
      }
    }
  }

  reportProgress(progress: { step: number; total: number; name: string }): void {
    if (!Number.isFinite(progress.step) || !Number.isFinite(progress.total))
      throw new RangeError(`w.progress: step and total are numbers, not ${progress.step} and ${progress.total}.`);
    if (this.#strayCheck("w.progress()")) return;
    const percent = progress.total > 0 ? Math.round((progress.step / progress.total) * 1000) / 10 : 0;
    this.decide({ type: "ProgressReported", step: progress.step, total: progress.total, name: progress.name, percent });
  }

  addCompensation(definition: AnyStep, input: unknown): void {
    this.#closing.add(definition, this.inputText(definition, input) && structuredClone(input));
  }

  #open(kind: Slot["kind"], fireAt: number | undefined, step: StepSlot | undefined): Promise<unknown> {
    const number = ++this.#lastSlot;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const frame = frames.getStore();
    this.slots.set(number, {
      slot: number,
      kind,
      state: "open",
      scheduledAt: this.#now,
      after: this.folded,
      cause: this.folded,
      attempt: 1,
      fireAt,
      step,
      resolve,
      // Inside the workflow's frame, so that a rejection nobody handles is known to be this run's.
      reject: (reason) => (frame ? frames.run(frame, reject, reason) : reject(reason)),
    });
    this.openSlots++;
    frame?.scope.add(number);
    return this.groups.own(promise, new Set([number]));
  }

  /** The slots that have got their outcome since this was last asked. */
  takeDone(): number[] {
    const done = this.#done;
    this.#done = [];
    return done;
  }

  /** A slot's outcome. */
  settle(slot: Slot, error?: Error, value?: unknown): void {
    if (slot.state === "done") return;
    slot.state = "done";
    this.#done.push(slot.slot);
    this.openSlots--;
    if (error) slot.reject(error);
    else slot.resolve(value);
  }

  // ---------------------------------------------------------------- ends

  /** The workflow's own failure, as it is told to people. */
  failure(error: unknown): StepstreamError {
    const thrown = error instanceof Error ? error : new RemoteError(toFailure(error));
    if (thrown instanceof StepError || thrown instanceof ValidationError || thrown instanceof WorkflowFailedError)
      return thrown;
    return new WorkflowFailedError(this.runId, thrown);
  }

  #stepError(slot: Slot, step: StepSlot, attempt: number, cause: Error): StepError {
    const where = { run: this.runId, step: step.definition.name, slot: slot.slot, attempt };
    return new StepError(where, step.inputText === "" ? undefined : JSON.parse(step.inputText), cause);
  }

  #cancelledError(reason = this.cancelRequest?.reason ?? "its result is not needed any more"): WorkflowCancelledError {
    return new WorkflowCancelledError(this.runId, reason);
  }

  /** Workflow code that goes on outside its turn waited for something that is in no history. */
  #strayCheck(what: string): boolean {
    if (this.#turnOpen || this.closed) return this.closed || this.fault !== undefined;
    this.fault ??= new StalledError(this.runId, `${what} came after a wait for something that \`w\` did not give.`);
    return true;
  }
}

function timeoutOf(step: StepSlot, kind: "queue" | "total"): number | undefined {
  const { timeout } = step.definition;
  return kind === "queue" ? timeout.queueMs : timeout.totalMs;
}

/** For code that must not go on. */
function never(): Promise<never> {
  return new Promise(() => {});
}
