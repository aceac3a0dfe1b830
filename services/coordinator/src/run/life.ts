import { createHash } from "node:crypto";
import {
  type Duration,
  decodeValue,
  deepFreeze,
  encodePayload,
  type Failure,
  ForbiddenInQueryError,
  fromFailure,
  fromWire,
  InvalidInputError,
  InvalidOutputError,
  messageOf,
  QueryFailedError,
  type RunStarted,
  TimeoutError,
  thorough,
  toFailure,
  toWire,
  WorkflowCancelledError,
} from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow, ChildOptions, RunOptions, ScopedPromise } from "@stepstream/sdk";
import {
  callback,
  checkPolicies,
  checkStep,
  checkWorkflow,
  invalid,
  label,
  name as nameOf,
  oneOf,
  optionalCallback,
  optionalDuration,
  optionsOf,
  reason as reasonOf,
  runId,
} from "./arguments.ts";
import { Closing } from "./closing.ts";
import { createContext } from "./context.ts";
import type { RunExecution } from "./execution.ts";
import { type Frame, frames, mustBeSync, never } from "./frame.ts";
import { markCancelReason, Rejections } from "./rejections.ts";
import { Scope } from "./scope.ts";
import { Seen } from "./seen.ts";
import { Signals, unknown, type Where } from "./signals.ts";
import { Updates } from "./updates.ts";
import { holds, Waits } from "./waits.ts";
import { onBehalfOf } from "./whose.ts";

const POLICIES = ["retry", "timeout"];
/** `percent` is worked out: a progress that was read may be reported again. */
const PROGRESS = ["step", "total", "name", "percent"];

/** How the workflow function has ended. */
export type Ended = { ok: true; value: unknown } | { ok: false; error: unknown } | { next: string };

/** Options of `w.waitFor`. */
export interface WaitOptions {
  timeout?: Duration | undefined;
  where?: Where | undefined;
  onTimeout?: "undefined" | "throw" | undefined;
}

export interface CancelRequest {
  readonly reason: string;
  readonly graceMs: number | undefined;
}

/**
 * One call of the workflow function, and what it asks for. A run has one; with `continueAsNew` one after the other.
 *
 * L1. Only the first end counts; what is asked for after it fails.
 * L2. A cancel reaches all that is open and all that is asked for later, but not past a shield.
 * L3. What only looks (queries, conditions, validators) changes nothing.
 *
 * Asserted as "life L1" (closing.ts), "life L2" (thorough) and "life L3" (at every decision).
 */
export class Life {
  readonly started: RunStarted;
  readonly root = new Scope();
  readonly waits: Waits;
  readonly closing: Closing;
  readonly rejections = new Rejections();
  ended: Ended | undefined;
  cancelRequest: CancelRequest | undefined;
  /** The run's time was up, and it was cancelled for that. */
  timedOut: TimeoutError | undefined;
  /** Scopes that a cancel does not reach, and that are not over. */
  shields = 0;
  /** Is there somebody who will take note of signals and updates: this life, or the next? */
  get takes(): boolean {
    return this.ended === undefined || "next" in this.ended;
  }

  /** Messages folded and events decided: what a replay of this life goes through. */
  length = 0;

  readonly #run: RunExecution;
  // Made when they are needed: most runs need none of them, and there may be very many runs.
  #seen: Seen | undefined;
  #signals: Signals | undefined;
  #updates: Updates | undefined;
  #abort: AbortController | undefined;
  #queries: Map<string, (input: unknown) => unknown> | undefined;
  /** Slots of timers that limit something else: that says itself what it is. */
  #limits: Set<number> | undefined;
  /** What was answered for each patch; and the patches that the history of this life has. */
  #patches: Map<string, boolean> | undefined;
  #patched: Set<string> | undefined;

  constructor(run: RunExecution, started: RunStarted) {
    this.#run = run;
    this.started = started;
    this.waits = new Waits(run.observer);
    this.closing = new Closing(run, this);
    const patched = run.recorder.ahead("Patched");
    if (patched.length > 0) this.#patched = new Set(patched.map(({ id }) => id));
  }

  get seen(): Seen {
    this.#seen ??= new Seen(this.started.seen);
    return this.#seen;
  }
  get signals(): Signals {
    this.#signals ??= new Signals(this.#run, this.waits, this.seen);
    return this.#signals;
  }
  get updates(): Updates {
    this.#updates ??= new Updates(this.#run, this, this.seen, (scope) => this.#frame(scope));
    return this.#updates;
  }
  /** Aborted when somebody cancels the run. */
  get cancelled(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.cancelRequest) this.#abort.abort(this.root.cancelled);
    }
    return this.#abort.signal;
  }

  begin(): void {
    const { delayMs, timeoutMs, since, signals, updates } = this.started;
    const run = this.#run;
    if (timeoutMs !== undefined) run.openTimer((since ?? run.now()) + timeoutMs, "timeout", undefined);
    if (signals && since === undefined) this.signals.begin(signals);
    else if (signals) this.signals.carryOn(signals);
    if (updates) this.updates.carryOn(updates);
    if (delayMs !== undefined) run.openTimer(run.now() + delayMs, "delay", undefined);
    else this.call();
  }

  call(): void {
    const run = this.#run;
    const { workflow } = run;
    if (this.ended) return;
    const input = fromWire(workflow.input, this.started.input);
    if (!input.ok) {
      const what = `workflow "${workflow.name}"`;
      return this.end({ ok: false, error: new InvalidInputError(what, input.path, input.message, run.where) });
    }
    const context = createContext(run, this);
    frames.run(this.#frame(this.root), async () => {
      try {
        this.end({ ok: true, value: await workflow.run(deepFreeze(input.value), context) });
      } catch (error) {
        this.end({ ok: false, error });
      }
    });
  }

  end(ended: Ended): void {
    this.#run.stray("the workflow ended");
    this.ended ??= ended;
  }

  /** Its code threw where nothing catches it: that counts, even if the function has just ended in another way. */
  fail(error: unknown): void {
    if (!this.closing.begun) this.ended = undefined;
    this.end({ ok: false, error });
  }

  // ---------------------------------------------------------------- from outside

  cancel(id: string, request: CancelRequest & { cleanupMs: number | undefined }): void {
    if (!this.takes || !this.seen.add("cancel", id)) return;
    const run = this.#run;
    const { reason, graceMs, cleanupMs } = request;
    run.decide({
      type: "CancelAccepted",
      id,
      reason,
      ...(graceMs === undefined ? {} : { graceMs }),
      ...(cleanupMs === undefined ? {} : { cleanupMs }),
    });
    if (cleanupMs !== undefined) run.openTimer(run.now() + cleanupMs, "cleanup", undefined);
    if (!this.cancelRequest) this.#stop({ reason, graceMs });
  }

  timeOut(): void {
    if (!this.takes || this.cancelRequest) return;
    const timeoutMs = this.started.timeoutMs!;
    this.#run.decide({ type: "RunTimedOut", timeoutMs });
    this.timedOut = new TimeoutError("run", timeoutMs, this.#run.where);
    this.#stop({ reason: this.timedOut.message, graceMs: undefined });
  }

  #stop(request: CancelRequest): void {
    this.cancelRequest = request;
    const reason = this.cancelledError();
    this.cancelScope(this.root, reason);
    if (this.#abort) frames.run(this.#frame(this.root), () => this.#abort!.abort(reason));
    // It had not even begun.
    if (!this.#run.hasBegun) this.end({ ok: false, error: reason });
  }

  /** @throws {QueryFailedError} The workflow knows no such query, or its handler threw. */
  query(name: string, input: unknown): unknown {
    const run = this.#run;
    const fail = (why: string, cause?: unknown) => new QueryFailedError(run.runId, name, why, { cause });
    const declared = run.workflow.queries[name];
    if (!Object.hasOwn(run.workflow.queries, name)) throw fail(unknown(run.workflow, "query", name));
    const handler = this.#queries?.get(name);
    if (!handler) throw fail("the workflow has not come to its w.onQuery() yet.");
    const schemas = "output" in declared ? declared : { input: undefined, output: declared };
    const read = fromWire(schemas.input, schemas.input && input);
    if (!read.ok) throw new InvalidInputError(`query "${name}"`, read.path, read.message, run.where);
    let answer: unknown;
    try {
      answer = frames.run({ ...this.#frame(this.root), readOnly: true, query: name }, () =>
        mustBeSync(
          handler(deepFreeze(read.value)),
          "its handler",
          "A query is answered at once, from the variables of the workflow.",
        ),
      );
    } catch (error) {
      throw fail(messageOf(error), error);
    }
    const sent = toWire(schemas.output, answer);
    if (sent.ok) return sent.value;
    throw fail(`its answer is not valid at ${sent.path || "its root"}: ${sent.message}.`);
  }

  // ---------------------------------------------------------------- what the workflow asks for

  /** @throws {InvalidInputError} The input does not fit; nothing was scheduled. */
  step(definition: AnyStep, input: unknown, options?: RunOptions): Promise<unknown> {
    checkStep("w.run()", definition);
    if (options !== undefined) checkPolicies("w.run()", definition, optionsOf("w.run()", options, POLICIES));
    if (this.#stray(`w.run(${definition.name})`)) return never();
    const refused = this.#mayAsk();
    if (refused) return refused;
    return this.#run.openStep(definition, this.#run.stepInputText(definition, input), options, false);
  }

  timer(ms: number): Promise<unknown> {
    if (this.#stray("w.sleep()")) return never();
    return this.#mayAsk() ?? this.#run.openTimer(this.#run.now() + Math.ceil(ms), undefined, this.#scope());
  }

  /** @throws {InvalidInputError} The input does not fit; nothing was scheduled. */
  child(definition: AnyWorkflow, input: unknown, options: ChildOptions): Promise<unknown> {
    checkWorkflow("w.child()", definition);
    if (this.#stray(`w.child(${definition.name})`)) return never();
    const { id, delay, timeout, onParentClose = "cancel", trace = "same" } = options;
    const child = {
      definition,
      run: runId("id of w.child()", id ?? childId(this.#run.runId, this.#run.lastSlot + 1)),
      inputText: this.#run.childInputText(definition, input),
      onParentClose: oneOf("onParentClose of w.child()", onParentClose, ["cancel", "terminate", "abandon"]),
      delayMs: optionalDuration("delay of w.child()", delay),
      timeoutMs: optionalDuration("timeout of w.child()", timeout),
      trace: oneOf("trace of w.child()", trace, ["same", "linked"]) === "linked" ? ("linked" as const) : undefined,
    };
    return this.#mayAsk() ?? this.#run.openChild(child);
  }

  waitFor(name: string, { timeout, where, onTimeout = "undefined" }: WaitOptions): Promise<unknown> {
    if (this.#stray(`w.waitFor(${nameOf("signal of w.waitFor()", name)})`)) return never();
    const refused = this.#mayAsk();
    if (refused) return refused;
    optionalCallback(`where of w.waitFor(${name})`, where);
    oneOf(`onTimeout of w.waitFor(${name})`, onTimeout, ["undefined", "throw"]);
    const timeoutMs = optionalDuration(`timeout of w.waitFor(${name})`, timeout);
    const frame = { ...this.#frame(this.#scope()), readOnly: true as const };
    const looks: Where | undefined = where && ((payload) => frames.run(frame, where, payload));
    let timer: ReturnType<Life["timeLimit"]>;
    const { wait, assigned } = this.signals.wait(name, looks, () => timer?.stop());
    // One that is there already needs no time limit.
    if (!assigned) timer = this.timeLimit(timeoutMs);
    timer?.onUp(() => {
      if (onTimeout === "undefined") return this.waits.resolve(wait, undefined);
      this.waits.reject(wait, new TimeoutError("signal", timeoutMs!, this.#run.where));
    });
    return this.#run.groups.own(wait.promise, { wait });
  }

  until(condition: () => boolean, timeout: Duration | undefined): Promise<boolean> {
    callback("condition of w.until()", condition);
    const timeoutMs = optionalDuration("timeout of w.until()", timeout);
    if (this.#stray("w.until()")) return never();
    const refused = this.#mayAsk();
    if (refused) return refused;
    const frame = { ...frames.getStore()!, readOnly: true as const };
    const look = () => frames.run(frame, condition);
    if (holds(look)) return Promise.resolve(true);
    const timer = this.timeLimit(timeoutMs);
    const wait = this.waits.add({ condition: look, ...(timer && { onOver: timer.stop }) });
    timer?.onUp(() => this.waits.resolve(wait, false));
    return this.#run.groups.own(wait.promise as Promise<boolean>, { wait });
  }

  onQuery(name: string, handler: (input: any) => unknown): void {
    nameOf("query of w.onQuery()", name);
    callback("handler of w.onQuery()", handler);
    if (this.#stray("w.onQuery()")) return;
    if (!Object.hasOwn(this.#run.workflow.queries, name))
      throw new RangeError(unknown(this.#run.workflow, "query", name));
    this.#queries ??= new Map();
    this.#queries.set(name, handler);
  }

  onUpdate(name: string, handler: (input: any) => unknown, validate: ((input: any) => unknown) | undefined): void {
    nameOf("update of w.onUpdate()", name);
    callback("handler of w.onUpdate()", handler);
    optionalCallback("validate of w.onUpdate()", validate);
    if (!this.#stray("w.onUpdate()")) this.updates.handle(name, { run: handler, validate });
  }

  scope<T>(fn: () => Promise<T>, timeout: Duration | undefined): ScopedPromise<T> {
    callback("function of w.scope()", fn);
    const timeoutMs = optionalDuration("timeout of w.scope()", timeout);
    if (this.#stray("w.scope()")) return Object.assign(never(), { cancel() {} });
    const scope = new Scope(this.#scope());
    const cancel = (reason = "its scope was cancelled") =>
      this.cancelScope(
        scope,
        new WorkflowCancelledError(this.#run.runId, reasonOf("reason of a scope's cancel()", reason)),
      );
    const timer = this.timeLimit(timeoutMs);
    const body = frames.run(this.#frame(scope), async () => fn());
    timer?.onUp(() => this.cancelScope(scope, new TimeoutError("scope", timeoutMs!, this.#run.where)));
    const promise = timer ? body.finally(timer.stop) : body;
    return this.#run.groups.own(Object.assign(promise, { cancel }), { scope });
  }

  uncancellable<T>(fn: () => Promise<T>): Promise<T> {
    callback("function of w.uncancellable()", fn);
    if (this.#stray("w.uncancellable()")) return never();
    this.shields++;
    const scope = new Scope(this.#scope(), true);
    return frames
      .run(this.#frame(scope), async () => fn())
      .finally(() => {
        this.shields--;
      });
  }

  continueAsNew(input: unknown): Promise<never> {
    if (this.#stray("w.continueAsNew()")) return never();
    const refused = this.#mayAsk();
    if (refused) return refused;
    if (this.closing.hasCompensations)
      throw new Error("w.continueAsNew() would lose the compensations that are registered; end the run instead.");
    this.#run.asksToContinue();
    this.end({ next: this.#run.childInputText(this.#run.workflow, input) });
    return never();
  }

  patched(id: string): boolean {
    this.#mayChange(`w.patched(${label("id of w.patched()", id)})`);
    this.#patches ??= new Map();
    let patched = this.#patches.get(id);
    if (patched === undefined) {
      patched = (this.#patched?.has(id) ?? false) || !this.#run.replaying;
      this.#patches.set(id, patched);
      if (patched) this.#run.decide({ type: "Patched", id });
    }
    return patched;
  }

  sideEffect<T>(fn: () => T): T {
    callback("function of w.sideEffect()", fn);
    this.#mayChange("w.sideEffect()");
    const recorded = this.#run.recorder.next;
    // Its JSON is taken now: what the workflow gets is frozen, and not what the history keeps.
    const { json, error } =
      recorded?.type === "SideEffectRecorded"
        ? { json: JSON.stringify(recorded.value) ?? "", error: recorded.error }
        : this.#callOnce(fn);
    const head = { type: "SideEffectRecorded" } as const;
    this.#run.decide(head, { key: "value", json, ...(error && { rest: { error } }) });
    // The first time too: code that looks at the error's class must do the same in every replay.
    if (error) throw fromFailure(error);
    return json === "" ? (undefined as T) : (deepFreeze(decodeValue(JSON.parse(json))) as T);
  }

  /** What the function returned or threw, as the history keeps it. */
  #callOnce(fn: () => unknown): { json: string; error?: Failure } {
    try {
      const called = onBehalfOf(this.#run, () => frames.exit(fn));
      const value = mustBeSync(called, "The function of w.sideEffect()", "Do what takes time in a step.");
      const sent = toWire(undefined, value);
      if (!sent.ok) throw new InvalidOutputError("w.sideEffect", sent.path, sent.message, this.#run.where);
      return { json: encodePayload("the value of w.sideEffect", sent.value) };
    } catch (error) {
      return { json: "", error: toFailure(error) };
    }
  }

  addCompensation(definition: AnyStep, input: unknown): void {
    checkStep("w.compensate()", definition);
    this.#mayChange("w.compensate()");
    this.closing.add(definition, this.#run.stepInputText(definition, input));
  }

  reportProgress(progress: { step: number; total: number; name: string }): void {
    const { step, total, name } = optionsOf("w.progress()", progress, PROGRESS);
    if (typeof step !== "number" || !Number.isFinite(step)) throw invalid("step of w.progress()", step, "a number");
    if (typeof total !== "number" || !Number.isFinite(total)) throw invalid("total of w.progress()", total, "a number");
    label("name of w.progress()", name);
    if (this.#stray("w.progress()")) return;
    const percent = total > 0 ? Math.round((step / total) * 1000) / 10 : 0;
    if (!Number.isFinite(percent))
      throw invalid("total of w.progress()", total, "a number that step can be divided by");
    this.#run.decide({ type: "ProgressReported", step, total, name: name!, percent });
  }

  /** Gives up what is open in a scope, and whatever is asked for in it later. */
  cancelScope(scope: Scope, reason: Error): void {
    if (!scope.mark(reason)) return;
    this.#run.cancelSlots(scope.slots, reason);
    this.waits.cancel(scope, reason);
    if (thorough && !this.#run.fault) this.#checkCancelled(scope);
  }

  #checkCancelled(scope: Scope): void {
    for (const { slot, state, scope: at } of this.#run.slots.values()) {
      const left = (state === "open" || state === "waiting") && at?.isWithin(scope);
      this.#run.holds(!left, "life L2", "a cancel has not reached it", slot);
    }
    for (const wait of this.waits.open)
      this.#run.holds(!wait.scope?.isWithin(scope), "life L2", "a cancel has not reached a wait");
  }

  cancelledError(reason = this.cancelRequest?.reason ?? "its result is not needed any more"): WorkflowCancelledError {
    return markCancelReason(new WorkflowCancelledError(this.#run.runId, reason));
  }

  // ---------------------------------------------------------------- guards

  #frame(scope: Scope): Frame {
    return { execution: this.#run, scope, rejections: this.rejections };
  }

  #scope(): Scope {
    return frames.getStore()?.scope ?? this.root;
  }

  /** Of an earlier life, or of a turn that is over? */
  #stray(what: string): boolean {
    if (this.#run.life !== this) return true;
    this.#mayChange(what);
    return this.#run.stray(what);
  }

  /** Only what looks, and code of a life that is over, may not. */
  #mayChange(what: string): void {
    if (this.#run.life !== this)
      throw new Error(`${what} came from a life of run ${this.#run.runId} that is over: it has gone on as new.`);
    if (frames.getStore()?.readOnly) throw new ForbiddenInQueryError(what, this.#run.runId);
  }

  #mayAsk(): Promise<never> | undefined {
    const reason = this.#scope().cancelled;
    return reason && Promise.reject(reason);
  }

  /** Hands out one of the signals that have a wait. @returns whether there was one. */
  deliverSignal(): boolean {
    return this.#signals?.deliver() ?? false;
  }

  /** This run segment ends: updates in progress get no other answer. */
  refuseUpdates(): void {
    this.#updates?.refuseInProgress();
  }

  /** What is true between two turns. */
  check(): void {
    this.#signals?.check();
  }

  /** Is the slot a timer that only limits something else? */
  isLimit(slot: number): boolean {
    return this.#limits?.has(slot) ?? false;
  }

  /** A timer beside something else. */
  timeLimit(timeoutMs: number | undefined): { onUp: (up: () => void) => void; stop: () => void } | undefined {
    // What is asked for in a scope that is cancelled fails at once: there is nothing to limit.
    if (timeoutMs === undefined || this.#scope().cancelled) return undefined;
    const run = this.#run;
    const fired = this.timer(timeoutMs);
    const slot = run.lastSlot;
    this.#limits ??= new Set();
    this.#limits.add(slot);
    const timer = run.slots.get(slot);
    return {
      // Cancelled together with what it limits: that says so itself.
      onUp: (up) => void fired.then(up, () => {}),
      stop: () => {
        if (timer?.state === "open") run.cancelSlots([slot], this.cancelledError("it is not needed any more"));
      },
    };
  }
}

/** Made of the parent's id and the slot; where that is too long, the end of it is a hash of the whole. */
function childId(parent: string, slot: number): string {
  const id = `${parent}-${slot}`;
  if (id.length <= 64) return id;
  return `${parent.slice(0, 41)}-${createHash("sha256").update(id).digest("base64url").slice(0, 22)}`;
}
