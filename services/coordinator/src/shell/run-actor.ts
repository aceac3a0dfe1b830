import {
  type GuestDone,
  type GuestMessage,
  type InboxMessage,
  InvariantError,
  isTerminal,
  MalformedMessageError,
  MessageTooLargeError,
  type RunEvent,
  RunNotFoundError,
  type RunStarted,
  type Segment,
  StalledError,
  type StepstreamError,
  type TerminalEvent,
  thorough,
  UnknownWorkflowError,
} from "@stepstream/contracts";
import { type Delivery, isTransient, Retry } from "@stepstream/event-log";
import type { DecisionSpan, Decisions } from "@stepstream/telemetry";
import { type Need, needsOf, needsOfSlots } from "../audit/needs.ts";
import { type Decided, type EarlyTimer, markOf, RunExecution } from "../run/execution.ts";
import type { Slot } from "../run/slot.ts";
import { type Parent, startAbandoned } from "./children.ts";
import { answers } from "./commands.ts";
import { type Deps, keyOf, Released } from "./deps.ts";
import { Effects, eachSlotOf } from "./effects.ts";
import { afterEnd } from "./ended.ts";
import { endByForce } from "./force-end.ts";
import { type History, type Inbox, readHistory, readInbox, startedAtOf, startOf } from "./history.ts";
import { Journal, type Written } from "./journal.ts";
import type { Awaited } from "./live-runs.ts";
import { park, parkedAt, unpark } from "./parking.ts";
import { replay } from "./replay.ts";
import { mayRun, suspected } from "./strikes.ts";

/** An inbox message in hand. */
export interface Arrival {
  readonly delivery: Delivery;
  readonly message: InboxMessage;
  /** In which unbroken stretch of deliveries it came; see Partition. */
  readonly epoch: number;
}

/** What mailboxes need of whoever hosts them. */
export interface Host {
  /** The messages in hand are another coordinator's, and so is the record of a parked run. */
  readonly isDelegate: boolean;
  ack(arrival: Arrival): void;
  /** Gives a message back to the log, to come again after `delayMs`. */
  handBack(arrival: Arrival, delayMs: number): void;
  /** Another delivery of the same message has taken its place. */
  replaced(arrival: Arrival): void;
  /** So many more messages stay unacknowledged because a slot lives by them. */
  onHeld(more: number): void;
  /** The run has decided something, and it is stored. */
  onJournalled(run: string): void;
  /** The run is over; the mailbox can go. @param epoch - In which this was so; undefined: in none that goes on. */
  onClosed(run: string, epoch: number | undefined): void;
  /** After `onClosed`: a message of the run that has been started under the same id, for a mailbox of its own. */
  onNext(run: string, arrival: Arrival): void;
}

/** So often may a message come back before its run is parked. */
const MAX_DELIVERIES = 20;
/** How often another coordinator is told of messages that it is to handle, until it has. */
const SAY_AGAIN_MS = 1_000;

/**
 * One run's mailbox: read → fold → decide → journal → effects → ack, one batch at a time.
 *
 * A1. What is decided is journalled before anything of it is done.
 * A2. A run in memory is folded on without reading only within one delivery epoch; else it is read.
 * A3. A message is acknowledged, singly, when all that it caused is durable.
 * A4. On a takeover: first the commands that are out are listed, then the inbox is read, then what is in
 *     neither is published. (A worker stores its result before its command goes.)
 * A5. Whoever finds that another has written drops what it has in memory, reads, and decides again.
 *
 * Asserted where they could break ("mailbox A1" …). A violation parks the run, and leaves the others of this process alone.
 *
 * Checked elsewhere:
 *   A4  rule outstanding-then-inbox
 */
export class RunActor {
  readonly run: string;
  lastActiveMs: number;

  readonly #deps: Deps;
  readonly #host: Host;
  readonly #name: string;
  readonly #decisions: Decisions;
  #state: "cold" | "hot" | "closed" | "parked" | "away" | "released" = "cold";
  #execution: RunExecution | undefined;
  #journal: Journal | undefined;
  #effects: Effects | undefined;
  /** The epoch within which no message can have been missed; undefined: read before the next fold. */
  #epoch: number | undefined;
  #queue: Arrival[] = [];
  #wake = false;
  #questions: Question[] = [];
  /** The workflow, where it is not known here. */
  #foreign: string | undefined;
  #again: unknown;
  /** Reads the run again after that has failed. */
  #waking: Retry | undefined;
  /** Its record of being parked goes when this message is done with elsewhere. */
  #unparkAt: { message: number; record: number } | undefined;
  /** Why it is parked, and what it was started as. */
  #parkedFor: { fault: StepstreamError; started: RunStarted | undefined } | undefined;
  #draining: Promise<void> | undefined;
  /** Its record of being parked, if it had one when it was read. */
  #record = 0;
  /** Something was decided, and not all of it is done and durable. */
  #underWay = false;
  readonly #isWanted = () => this.#state !== "released";
  /** Messages that slots live by, by their sequence. */
  readonly #held = new Map<number, Arrival>();

  constructor(deps: Deps, run: string, host: Host) {
    this.#deps = deps;
    this.run = run;
    this.#host = host;
    this.#name = deps.newMailbox();
    this.#decisions = deps.telemetry.decisions(run);
    this.lastActiveMs = deps.clock.now();
  }

  deliver(arrival: Arrival): void {
    this.#queue.push(arrival);
    this.#start();
  }

  /** Take the run up from the log, though no message is in hand. */
  wake(): void {
    this.#wake = true;
    this.#start();
  }

  /**
   * The same, and waits until it has been read and what it waits for is armed, here or by another coordinator.
   * @returns Whether that is so; else that is tried again, or the run is parked.
   */
  async woken(): Promise<boolean> {
    this.wake();
    await this.#draining;
    return this.#state !== "parked" && this.#state !== "released" && !this.#waking?.pending;
  }

  /** What the run waits for. "busy": that is changing, or known elsewhere only. undefined: it is not in memory. */
  get awaited(): Awaited | "busy" | undefined {
    if (this.#draining || this.#busy || this.#waking?.pending) return "busy";
    if (this.#state !== "hot") return this.#state === "cold" ? undefined : "busy";
    const { slots, folded } = this.#execution!;
    return { needs: [...needsOfSlots(slots.values()), ...this.#effects!.deadlines()], folded };
  }

  /**
   * Answers a query, between two turns, and writes nothing.
   * @returns undefined if this coordinator does not know the workflow.
   * @throws {QueryFailedError} And what the run is parked for.
   */
  query(name: string, input: unknown): Promise<{ output: unknown } | undefined> {
    const answer = Promise.withResolvers<{ output: unknown } | undefined>();
    this.#questions.push({ name, input, ...answer });
    this.#start();
    return answer.promise;
  }

  /** Which coordinator handles the run, if its workflow is not known here but there. */
  get elsewhere(): string | undefined {
    return this.#foreign && this.#deps.hostOf(this.#foreign, this.run);
  }

  /** Another coordinator has done with a message that is in hand here, or with a run that was parked. */
  handled({ seq, againMs, parked }: Pick<GuestDone, "seq" | "againMs" | "parked">): void {
    if (this.#state !== "away") return;
    if (seq === this.#unparkAt?.message && againMs === undefined) {
      const { record } = this.#unparkAt;
      this.#unparkAt = undefined;
      const onFailed = (error: unknown) => this.#deps.warn("unpark a run", error, this.run);
      if (!parked) unpark(this.#deps, this.run, record).catch(onFailed);
    }
    const arrival = this.#held.get(seq);
    if (arrival) {
      this.#held.delete(seq);
      this.#host.onHeld(-1);
      if (againMs === undefined) this.#host.ack(arrival);
      else this.#host.handBack(arrival, againMs);
    }
    // The id may be another workflow's by now, which that coordinator does not know.
    if (againMs !== undefined) this.wake();
  }

  /** It waits, with a record of why. */
  get parked(): boolean {
    return this.#state === "parked";
  }

  /** May be dropped from memory: nothing goes on, nothing is held. */
  get idle(): boolean {
    if (this.#draining || this.#held.size > 0 || this.#unparkAt !== undefined || this.#waking?.pending) return false;
    return this.#effects?.idle ?? true;
  }

  /** Lets the run go: what is held goes back to the log at once. Resolves when nothing of it is under way. */
  async release(): Promise<void> {
    this.#state = "released";
    this.#effects?.stop();
    this.#deps.clock.clearTimeout(this.#again);
    this.#waking?.stop();
    await this.#draining;
    for (const arrival of this.#held.values()) this.#host.handBack(arrival, 0);
    for (const arrival of this.#queue) this.#host.handBack(arrival, 0);
    this.#host.onHeld(-this.#held.size);
    this.#held.clear();
    this.#queue = [];
    for (const question of this.#questions.splice(0)) question.resolve(undefined);
  }

  /** Lets the run go at once, as if the process had been killed. */
  abandon(): void {
    this.#state = "released";
    this.#effects?.stop();
    this.#deps.clock.clearTimeout(this.#again);
    this.#waking?.stop();
  }

  // ---------------------------------------------------------------- the mailbox

  #start(): void {
    this.lastActiveMs = this.#deps.clock.now();
    if (!this.#draining && this.#busy) this.#draining = this.#drain();
  }

  get #busy(): boolean {
    return this.#state !== "released" && (this.#queue.length > 0 || this.#wake || this.#questions.length > 0);
  }

  async #drain(): Promise<void> {
    try {
      while (this.#busy) {
        if (this.#queue.length > 0 || this.#wake) {
          const batch = this.#queue;
          const woken = this.#wake;
          this.#queue = [];
          this.#wake = false;
          try {
            await this.#handle(batch, woken);
            if (woken) this.#waking?.done();
          } catch (error) {
            await this.#afterThrow(batch, woken, error);
          }
        }
        if (this.#state === "released") return;
        // After the messages in hand: what has not been stored yet could be decided differently the next time.
        if (this.#questions.length > 0) for (const question of this.#questions.splice(0)) await this.#answer(question);
      }
    } finally {
      this.#draining = undefined;
    }
  }

  async #afterThrow(batch: Arrival[], woken: boolean, thrown: unknown): Promise<void> {
    let error = thrown;
    try {
      if (!(error instanceof Released)) return await this.#onTrouble(batch, woken, error);
    } catch (another) {
      error = another;
    }
    // Let go in the middle of it: release() gives them back.
    if (error instanceof Released) this.#queue.unshift(...batch);
    else this.#giveBack(batch, woken, error);
  }

  /** Not even its trouble can be handled, e.g. because it cannot be parked: all of it comes again. */
  #giveBack(batch: Arrival[], woken: boolean, error: unknown): void {
    this.#deps.warn("give up handling a run for now", error, this.run);
    for (const arrival of batch) {
      const { seq } = arrival.delivery;
      if (this.#held.delete(seq)) this.#host.onHeld(-1);
      this.#host.handBack(arrival, 1_000);
    }
    if (woken) this.#wakeLater();
  }

  /** Not what the other coordinator took it for: that one is to read it again. */
  #giveAllBack(batch: Arrival[]): void {
    const all = [...this.#held.values(), ...batch];
    this.#held.clear();
    this.#forget();
    for (const arrival of all) this.#host.handBack(arrival, 1_000);
  }

  /** All that its record stood for is durable: unless that is a message, which another coordinator may not have in hand. */
  async #unpark(): Promise<void> {
    const record = this.#record;
    if (record === 0 || (this.#host.isDelegate && this.#held.size > 0)) return;
    this.#record = 0;
    await unpark(this.#deps, this.run, record);
  }

  #wakeLater(): void {
    this.#waking ??= new Retry(this.#deps.clock, () => this.wake(), { firstMs: 1_000, longestMs: 5_000 });
    this.#waking.schedule();
  }

  /** The messages come back in a second; a run that stays impossible to handle is parked with the reason. */
  async #onTrouble(batch: Arrival[], woken: boolean, error: unknown): Promise<void> {
    this.#deps.warn("handle a run", error, this.run);
    // A decision too large: the code would come to it again, and the others would wait while it does.
    if (error instanceof MessageTooLargeError && this.#execution?.started)
      this.#deps.faults.add(this.#execution.mark, error);
    this.#forget();
    // Its journal cannot be read, or a decision cannot be written: the same again would come to the same.
    if ([InvariantError, MalformedMessageError, MessageTooLargeError].some((kind) => error instanceof kind))
      return this.#park(batch, error as StepstreamError);
    const back: Arrival[] = [];
    for (const arrival of batch) {
      const before = this.#held.get(arrival.delivery.seq);
      if (before) {
        this.#host.replaced(before);
        this.#held.set(arrival.delivery.seq, arrival);
      } else back.push(arrival);
    }
    const away = isTransient(error);
    // A log that does not answer, or refuses, is not the run's fault, however often its messages come back.
    if (!away && back.some((a) => a.delivery.deliveries > MAX_DELIVERIES))
      return this.#park(batch, new StalledError(this.run, `its messages cannot be handled: ${error}`));
    for (const arrival of back) this.#host.handBack(arrival, away ? this.#awayMs(arrival) : 1_000);
    if (woken) this.#wakeLater();
  }

  /** Longer each time, and not the same for all: the log may be away for long, and there may be many messages. */
  #awayMs({ delivery: { deliveries } }: Arrival): number {
    const most = Math.min(500 * 2 ** Math.min(deliveries, 4), 5_000);
    return Math.ceil(most * (0.5 + this.#deps.clock.random() / 2));
  }

  async #handle(batch: Arrival[], called: boolean): Promise<void> {
    this.#decisions.begin();
    // A parked run can still be terminated.
    const terminates = batch.some(({ message }) => message.type === "TerminateRequested");
    const woken = called || (this.#state === "parked" && terminates);
    if (this.#state === "closed") return this.#settleBatch(batch);
    if (this.#state === "parked" && !woken) return this.#stayParked(batch);
    if (this.#state === "away" && !woken) return this.#handOn(batch);
    if (woken) this.#forget();
    const record = woken || terminates ? await parkedAt(this.#deps, this.run) : 0;
    // Without its code, which may be what it is parked for: it may even end this process.
    if (record > 0 && (await this.#terminate())) return this.#over(batch, record);

    for (let attempt = 0; ; attempt++) {
      let folded: Folded | "over" | "none";
      if (attempt > 0 && this.#execution)
        this.#violated("mailbox A5", "another has written, and it is still in memory");
      try {
        folded = await this.#foldAll(batch, attempt > 0 || woken);
      } catch (error) {
        if (!terminates || error instanceof Released || isTransient(error)) throw error;
        if (await this.#terminate()) return this.#over(batch, record);
        throw error;
      }
      // Where nothing starts the run, the message that did may be one that cannot be read.
      if (folded === "none" && terminates) await this.#terminate();
      if (folded === "over" || folded === "none") return this.#over(batch, record);
      const fault = folded.fault ?? this.#execution?.fault;
      if (fault && terminates && (await this.#terminate())) return this.#over(batch, record);
      if (fault instanceof UnknownWorkflowError) {
        if (this.#host.isDelegate) return this.#giveAllBack(batch);
        if (this.elsewhere) return this.#goAway(batch, woken, record);
      }
      if (fault) {
        if (!folded.fault) this.#deps.faults.add(this.#execution!.mark, fault);
        return this.#park(batch, fault, folded.started);
      }
      if (folded.decided.length > 0) {
        const { decided } = folded;
        const span = this.#writing(decided);
        const written = await this.#journal!.append(decided, this.#execution!.folded, this.#isWanted);
        this.#wrote(written, decided, span);
        if (written !== "written") {
          if (written === "moved") this.#deps.emit({ type: "moved", run: this.run });
          this.#forget();
          continue;
        }
      }
      this.#check();
      await this.#carryOut(batch, folded);
      this.#record = Math.max(record, this.#record);
      return this.#unpark();
    }
  }

  // ---------------------------------------------------------------- queries

  async #answer({ name, input, resolve, reject }: Question): Promise<void> {
    try {
      const execution = this.#state === "hot" ? this.#execution! : await this.#lookUp();
      resolve(execution && { output: execution.query(name, input) });
    } catch (error) {
      reject(error);
    }
  }

  /** The run as its history makes it, to look at. */
  async #lookUp(): Promise<RunExecution | undefined> {
    const { log, workflows, turns } = this.#deps;
    const history = await readHistory(this.#deps, this.run, 0);
    const started = startOf(history);
    if (!started) throw new RunNotFoundError(this.run, log.subjects.namespace);
    const definition = workflows.get(keyOf(started));
    if (!definition) {
      this.#foreign = keyOf(started);
      return undefined;
    }
    const mark = markOf(this.run, startedAtOf(history, started));
    const fault = this.#deps.faults.of(mark) ?? (await suspected(this.#deps, this.run));
    if (fault) throw fault;
    const execution = new RunExecution(this.run, definition, history.events, history.upTo);
    execution.owner = this.#deps.id;
    await this.#replay(execution, history);
    for (const { seq, at, message } of history.inbox) {
      if (seq <= history.upTo) continue;
      await turns.of(execution, () => execution.fold(seq, at, message));
    }
    if (execution.fault) throw execution.fault;
    return execution;
  }

  // ---------------------------------------------------------------- read and fold

  #foldAll(batch: Arrival[], fresh: boolean): Promise<Folded | "over" | "none"> {
    const first = batch[0];
    if (this.#state !== "hot") {
      if (first?.message.type !== "RunStarted" || first.delivery.deliveries > 1 || fresh)
        return this.#loadFor(batch, fresh);
      const workflow = this.#deps.workflows.get(keyOf(first.message));
      if (!workflow) return Promise.resolve(this.#unknown(first.message));
      this.#become(new RunExecution(this.run, workflow, [], 0, this.#deps.forgotten.observer), 0, undefined);
      this.#epoch = first.epoch;
    }
    return batch.length === 1 && this.#isNext(first!) ? this.#foldNext(first!) : this.#foldEach(batch);
  }

  async #loadFor(batch: Arrival[], fresh: boolean): Promise<Folded | "over" | "none"> {
    const seqs = batch.map((a) => a.delivery.seq);
    const holds = Math.max(0, ...seqs);
    const loaded = await this.#load(Math.min(...seqs), holds, fresh);
    const last = batch.findLast((a) => a.delivery.deliveries === 1);
    this.#epoch = last?.delivery.seq === holds ? last.epoch : undefined;
    return loaded;
  }

  /** Is it what comes next of the run in memory, with nothing missing in between? */
  #isNext({ delivery, message, epoch }: Arrival): boolean {
    const { started, folded } = this.#execution!;
    if (message.type === "RunStarted" && started) return false;
    return delivery.deliveries === 1 && epoch === this.#epoch && delivery.seq > folded;
  }

  /** Nearly always there is one message, and it is the next. */
  #foldNext(arrival: Arrival): Promise<Folded> {
    const { seq, deliveries } = arrival.delivery;
    if (deliveries > 1 || arrival.epoch !== this.#epoch || arrival.epoch < 0)
      this.#violated("mailbox A2", `message ${seq} was to be folded, and what came before it may be missing`);
    return this.#fold(seq, arrival.delivery.at, arrival.message).then((decided) => {
      if (decided.length > 0) this.#journal?.turnEnded(decided, seq);
      return { decided };
    });
  }

  async #foldEach(batch: Arrival[]): Promise<Folded | "over" | "none"> {
    const execution = this.#execution!;
    const decided: Decided[] = [];
    for (const arrival of batch) {
      const { seq, deliveries } = arrival.delivery;
      if (seq <= execution.folded) continue;
      // The run in memory was deleted, and its id started again.
      if (arrival.message.type === "RunStarted" && execution.started) return this.#foldAgain(batch);
      if (this.#isNext(arrival)) {
        for (const one of (await this.#foldNext(arrival)).decided) decided.push(one);
        continue;
      }
      // A2: something may have been missed.
      const { log } = this.#deps;
      const journal = await log.last(log.subjects.journal(this.run));
      if ((journal?.seq ?? 0) > this.#journal!.lastSeq) return this.#foldAgain(batch);
      const missed = await readInbox(this.#deps, this.run, execution.folded + 1, seq);
      if (missed.some(({ message }) => message.type === "RunStarted")) return this.#foldAgain(batch);
      for (const message of missed) await this.#foldInto(decided, message);
      this.#epoch = deliveries === 1 ? arrival.epoch : undefined;
    }
    return { decided };
  }

  /** What is in memory is not the run that the log has. */
  #foldAgain(batch: Arrival[]): Promise<Folded | "over" | "none"> {
    this.#forget();
    return this.#foldAll(batch, true);
  }

  #fold(seq: number, at: number, message: InboxMessage): Promise<Decided[]> {
    const execution = this.#execution!;
    this.#decisions.took(message);
    return this.#deps.turns.of(execution, () => execution.fold(seq, at, message));
  }

  /** What its turn decides is to be written with the rest of the batch. */
  async #foldInto(all: Decided[], { seq, at, message }: Inbox): Promise<void> {
    const turn = await this.#fold(seq, at, message);
    if (turn.length === 0) return;
    for (const decided of turn) all.push(decided);
    this.#journal?.turnEnded(turn, seq);
  }

  /** Rebuilds the run from the log. @param first - The first message in hand; infinite for none. */
  async #load(first: number, holds: number, fresh: boolean): Promise<Folded | "over" | "none"> {
    const { log } = this.#deps;
    const { out, stranded } = await this.#outstanding();
    const history = await readHistory(this.#deps, this.run, holds, fresh);
    const started = startOf(history);
    if (!started) {
      await this.#removeStranded(stranded);
      return "none";
    }
    const startedAtMs = startedAtOf(history, started);
    const last = history.events.at(-1);
    if (last && isTerminal(last)) {
      const endedAtMs = history.inbox.findLast((x) => x.seq <= history.upTo)?.at ?? startedAtMs;
      // What came after the end has no part in it. Else whoever ended it may have died before it could tell.
      if (first <= history.upTo) this.#tellTelemetry(started, startedAtMs, endedAtMs, last);
      await this.#startAbandoned(started, startedAtMs, history.latest);
      await this.#afterEnd(started, startedAtMs, last, history.upTo);
      await this.#removeStranded(stranded);
      return "over";
    }
    const workflow = this.#deps.workflows.get(keyOf(started));
    if (!workflow) return this.#unknown(started);
    // The same code would come to the same again.
    const known = this.#deps.faults.of(markOf(this.run, startedAtMs));
    if (known) return { decided: [], started, fault: known };
    const may = await mayRun(this.#deps, this.run);
    if (may.fault) return { decided: [], started, fault: may.fault };
    this.#record = may.record;

    this.#become(
      new RunExecution(this.run, workflow, history.events, history.upTo, this.#deps.forgotten.observer),
      history.journalSeq,
      history.segment,
    );
    const execution = this.#execution!;
    await this.#replay(execution, history);
    this.#decisions.rebuilt(history.inbox.length);
    const decided: Decided[] = [];
    execution.takeDone();
    this.#effects!.mayHaveStored(execution.slots.values());
    const scheduled = new Set(execution.slots.keys());
    for (const message of history.inbox) if (message.seq > history.upTo) await this.#foldInto(decided, message);
    this.#deps.emit({ type: "rebuilt", run: this.run, messages: history.inbox.length });
    if (execution.fault) return { decided };
    if (thorough) this.#checkNeeds(history, decided);

    // What is neither out nor answered. Reading after listing misses nothing; the read must not be old.
    const lost = [...scheduled].filter((n) => {
      const slot = execution.slots.get(n);
      if (slot?.kind !== "step") return false;
      if (slot.state === "open") return !out.has(n) || stranded.has(n);
      return slot.state === "cancelling" && !out.has(n);
    });
    const unsent = new Set<number>();
    eachSlotOf(decided, (n) => scheduled.has(n) || unsent.add(n));
    const answered = new Set<number>();
    if (lost.length > 0) {
      // What whoever had the run before was about to publish may have come since.
      const late = new Set((await this.#commandsOut()).values());
      const after = Math.min(...lost.map((n) => execution.slots.get(n)!.after));
      const inbox = await log.read(log.subjects.inbox(this.run), { fromSeq: after + 1, fresh: true });
      for (const n of lost) {
        const slot = execution.slots.get(n)!;
        if (inbox.some((stored) => answers(stored, slot))) answered.add(n);
        else if (late.has(n) && !stranded.has(n)) out.add(n);
        else if (slot.state === "cancelling") unsent.add(n);
        else out.delete(n);
      }
    }
    for (const n of answered) out.add(n);
    // One of a slot that is being cancelled goes when its grace is over: a worker may still be at it.
    await this.#removeStranded(stranded, (n) => {
      const state = execution.slots.get(n)?.state;
      return answered.has(n) || (state !== "open" && state !== "cancelling");
    });
    await this.#startAbandoned(started, execution.startedAtMs, history.latest.filter(over(execution)));
    return { decided, out, stranded, unsent, all: true };
  }

  /** What is read from a history without its code is what the code makes of it. */
  #checkNeeds({ continued, events, inbox }: History, decided: readonly Decided[]): void {
    const execution = this.#execution!;
    if (execution.closed || decided.some(({ event }) => event.type === "RunContinued")) return;
    const read = needsOf({ continued, events: [...events, ...decided.map(({ event }) => event)], inbox });
    const inMemory = needsOfSlots(execution.slots.values());
    const bySlot = (a: Need, b: Need) => a.slot - b.slot;
    if (JSON.stringify([...read.needs].sort(bySlot)) !== JSON.stringify([...inMemory].sort(bySlot)))
      this.#violated("needs D2", `read: ${JSON.stringify(read)}; in memory: ${JSON.stringify(inMemory)}`);
  }

  /** Folds what the journal has the decisions of, and compares. */
  async #replay(execution: RunExecution, history: History): Promise<void> {
    await replay(this.#deps, execution, history);
    // Whoever decided it first has reported it.
    execution.takeForgotten();
  }

  /** Off the way of the messages: the run may be replayed once more to find the place in the code. */
  #reportForgotten(execution: RunExecution): void {
    const forgotten = execution.takeForgotten();
    if (forgotten.length > 0) this.#deps.forgotten.report(this.#deps, this.run, execution.workflow, forgotten);
  }

  /**
   * Ends a run that cannot be handled, if a message asks for that. No workflow code is needed for it.
   * @returns Whether it has ended.
   */
  async #terminate(): Promise<boolean> {
    const end = await endByForce(this.#deps, this.run, this.#name, () => this.#state !== "released");
    this.#check();
    if (!end) return false;
    const { event, started, readable, startedAtMs, endedAtMs, upTo } = end;
    this.#deps.emit({ type: "decided", run: this.run, upTo, events: [event.type] });
    if (readable) this.#tellTelemetry(started, startedAtMs, endedAtMs, event);
    await this.#afterEnd(started, startedAtMs, event, upTo);
    return true;
  }

  /** All that its messages asked for is done: nothing of the run is left to handle. */
  #over(batch: Arrival[], record: number): Promise<void> {
    this.#close();
    this.#settleBatch(batch);
    return unpark(this.#deps, this.run, record);
  }

  async #afterEnd(started: RunStarted, startedAtMs: number, end: TerminalEvent, upTo: number): Promise<void> {
    if (!started.parent && end.type !== "RunTerminated") return;
    await afterEnd(this.#deps, this.#parent(started, startedAtMs), end, upTo, () => this.#state !== "released");
    this.#check();
  }

  async #startAbandoned(started: RunStarted, startedAtMs: number, decided: readonly RunEvent[]): Promise<void> {
    await startAbandoned(this.#deps, this.#parent(started, startedAtMs), decided, () => this.#state !== "released");
    this.#check();
  }

  #parent(started: RunStarted, startedAtMs: number): Parent {
    return { runId: this.run, mark: markOf(this.run, startedAtMs), started };
  }

  /** Its slots with a command that is out; and of those that no worker will get, the stream sequences. */
  async #outstanding(): Promise<{ out: Set<number>; stranded: Map<number, Lost> }> {
    const out = await this.#commandsOut();
    const found = out.size > 0 ? await this.#deps.stranded.among(out.keys()) : [];
    return {
      out: new Set(out.values()),
      stranded: new Map([...found].map(([subject, seq]) => [out.get(subject)!, { subject, seq }])),
    };
  }

  /** The subjects of its commands that are out, and their slots. */
  async #commandsOut(): Promise<Map<string, number>> {
    const { log } = this.#deps;
    const listed = await log.list("COMMANDS", log.subjects.all.commandsOfRun(this.run));
    const out = new Map<string, number>();
    for (const subject of listed.keys()) {
      const slot = log.subjects.parse(subject)?.slot;
      if (slot !== undefined) out.set(subject, slot);
    }
    return out;
  }

  /** Nobody waits for these any more, and nothing else would remove them. */
  async #removeStranded(stranded: ReadonlyMap<number, Lost>, which: (slot: number) => boolean = () => true) {
    const { log } = this.#deps;
    for (const [slot, { subject, seq }] of stranded) if (which(slot)) await log.remove(subject, { upTo: seq });
  }

  #unknown(started: RunStarted): Folded {
    this.#foreign = keyOf(started);
    return { decided: [], started, fault: new UnknownWorkflowError(this.run, started.workflow, started.version) };
  }

  #become(execution: RunExecution, journalSeq: number, segment: Segment | undefined): void {
    execution.owner = this.#deps.id;
    this.#execution = execution;
    this.#journal = new Journal(this.#deps, this.run, this.#name, journalSeq, segment);
    this.#effects = new Effects(
      this.#deps,
      execution,
      () => this.#execution === execution && this.#state !== "released",
    );
    if (this.#state !== "released") this.#state = "hot";
  }

  #forget(): void {
    this.#effects?.stop();
    this.#execution = undefined;
    this.#effects = undefined;
    this.#journal = undefined;
    this.#epoch = undefined;
    this.#unparkAt = undefined;
    this.#underWay = false;
    if (this.#state !== "released") this.#state = "cold";
  }

  // ---------------------------------------------------------------- write and do

  #writing(decided: readonly Decided[]): DecisionSpan {
    const execution = this.#execution!;
    this.#underWay = true;
    if (this.#deps.forgotten.atOnce) this.#reportForgotten(execution);
    return this.#decisions.decided(execution.started!, execution.folded, decided);
  }

  #wrote(written: Written, decided: readonly Decided[], span: DecisionSpan): void {
    span.end(written === "moved" ? "moved" : "written");
    this.#check();
    if (written === "moved") return;
    this.#host.onJournalled(this.run);
    const upTo = this.#execution!.folded;
    this.#deps.emit({ type: "decided", run: this.run, upTo, events: decided.map((d) => d.event.type) });
  }

  /** Does what was decided. @returns undefined where there is nothing to wait for. */
  #arm(batch: Arrival[], { decided, out, stranded, unsent, all }: Folded): Promise<unknown> | undefined {
    const execution = this.#execution!;
    if (decided.length > 0 && this.#journal!.upTo !== execution.folded)
      this.#violated("mailbox A1", "something was to be done whose decision is not stored");
    const early = execution.takeEarly();
    for (const timer of early) this.#deps.emit({ type: "early", run: this.run, ...timer });
    const slots = all ? openOf(execution, execution.slots.keys()) : slotsToArm(execution, decided, early);
    // Commands that were asked for and cancelled within one batch never went out.
    const notOut = lazily(() => (all ? unsent! : scheduledIn(decided)));
    const isUnsent = (slot: number) => notOut().has(slot);
    return slots.length === 0 ? undefined : this.#effects!.arm(slots, this.#inHand(batch), isUnsent, out, stranded);
  }

  /** Tells whether a message is in hand: it may be one of this batch. */
  #inHand(batch: Arrival[]): (seq: number) => boolean {
    const seqs = lazily(() => new Set(batch.map((arrival) => arrival.delivery.seq)));
    return (seq) => this.#held.has(seq) || seqs().has(seq);
  }

  async #carryOut(batch: Arrival[], folded: Folded): Promise<void> {
    const { decided } = folded;
    const execution = this.#execution!;
    const effects = this.#effects!;
    const armed = this.#arm(batch, folded);
    if (armed) await armed;
    // Let go meanwhile? Then not all of it was done, and the messages are not ours to acknowledge.
    this.#check();
    effects.sweep();
    if (thorough) effects.check(this.#inHand(batch));

    if (batch.some(firesTimer)) await this.#checkDeadlines(batch);
    if (decided.some(startsChild)) {
      const gone = decided.map((d) => d.event).filter(over(execution));
      await this.#startAbandoned(execution.started!, execution.startedAtMs, gone);
    }
    const end = execution.closed ? decided.map((d) => d.event).findLast(isTerminal) : undefined;
    if (end) await this.#afterEnd(execution.started!, execution.startedAtMs, end, execution.folded);
    this.#reportForgotten(execution);
    this.#underWay = false;
    this.#settleBatch(batch);
    if (!execution.closed) return;
    if (end) this.#tellTelemetry(execution.started!, execution.startedAtMs, execution.now(), end);
    this.#close();
  }

  async #checkDeadlines(batch: Arrival[]): Promise<void> {
    for (const { message } of batch) {
      const slot = message.type === "TimerFired" ? this.#execution!.slots.get(message.slot) : undefined;
      if (slot?.kind === "step" && slot.state === "open") await this.#effects!.checkDeadline(slot);
    }
    this.#check();
  }

  /** Acknowledges what is done with; what a slot lives by stays in hand. */
  #settleBatch(batch: Arrival[]): void {
    for (const arrival of batch) {
      const { seq } = arrival.delivery;
      const before = this.#held.get(seq);
      // The same message again: from now on this delivery is the one to keep alive.
      if (before) this.#host.replaced(before);
      else this.#host.onHeld(1);
      this.#held.set(seq, arrival);
    }
    for (const [seq, arrival] of this.#held) {
      if (this.#effects?.mustHold(seq)) continue;
      if (this.#underWay)
        this.#violated("mailbox A3", `message ${seq} was to be acknowledged, and not all of it is done`);
      this.#held.delete(seq);
      this.#host.onHeld(-1);
      this.#host.ack(arrival);
    }
  }

  async #park(batch: Arrival[], fault: StepstreamError, known?: RunStarted): Promise<void> {
    const started =
      known ?? this.#execution?.started ?? batch.map((a) => a.message).find((m) => m.type === "RunStarted");
    this.#forget();
    this.#parkedFor = { fault, started };
    await this.#stayParked(batch);
  }

  /** Somebody else may take it up at this moment, who has read it before these messages came. */
  async #stayParked(batch: Arrival[]): Promise<void> {
    const { fault, started } = this.#parkedFor!;
    const after = Math.max(0, ...this.#held.keys(), ...batch.map((arrival) => arrival.delivery.seq));
    if ((await park(this.#deps, this.run, started, fault, after)) && started)
      this.#deps.telemetry.parked({ run: this.run, started, fault, after });
    this.#check();
    this.#state = "parked";
    this.#settleBatch(batch);
  }

  /** The run is another coordinator's business, as long as one is there that knows its workflow. */
  async #goAway(batch: Arrival[], woken: boolean, record: number): Promise<void> {
    const { log, emit } = this.#deps;
    this.#forget();
    this.#state = "away";
    emit({ type: "handedOn", run: this.run, to: this.elsewhere! });
    // Nothing is in hand for what has come while it was parked: its record stays until all of that is done with.
    const last = woken ? await log.last(log.subjects.inbox(this.run), { fresh: true }) : undefined;
    if (last) this.#unparkAt = { message: last.seq, record };
    this.#check();
    this.#handOn(batch);
  }

  /** Keeps the messages in hand until they are done with there. */
  #handOn(batch: Arrival[]): void {
    for (const arrival of batch) {
      const { seq } = arrival.delivery;
      const before = this.#held.get(seq);
      if (before) this.#host.replaced(before);
      else this.#host.onHeld(1);
      this.#held.set(seq, arrival);
    }
    this.#sayAgain();
  }

  /** What is said may be lost, and whoever heard it may die. */
  #sayAgain(): void {
    if (this.#state !== "away" || (this.#held.size === 0 && this.#unparkAt === undefined)) return;
    const to = this.elsewhere;
    if (!to) return this.wake();
    const waiting = this.#unparkAt?.message;
    if (waiting !== undefined) this.#tellGuest(to, waiting, true);
    for (const seq of this.#held.keys()) if (seq !== waiting) this.#tellGuest(to, seq);
    this.#again ??= this.#deps.clock.setTimeout(() => {
      this.#again = undefined;
      this.#sayAgain();
    }, SAY_AGAIN_MS);
  }

  #tellGuest(to: string, seq: number, parked = false): void {
    const { log, id } = this.#deps;
    const message: GuestMessage = {
      v: 1,
      type: "GuestMessage",
      from: id,
      run: this.run,
      seq,
      ...(parked && { parked }),
    };
    log.broadcast(log.subjects.guest(to), JSON.stringify(message));
  }

  #close(): void {
    this.#effects?.stop();
    if (this.#state !== "released") this.#state = "closed";
    this.#execution = undefined;
    this.#host.onClosed(this.run, this.#epoch);
    // A client that saw the end may have deleted the run and started another before all was done here.
    const next = this.#queue.findIndex(({ message }) => message.type === "RunStarted");
    if (next >= 0) for (const arrival of this.#queue.splice(next)) this.#host.onNext(this.run, arrival);
  }

  #violated(promise: string, what: string): never {
    throw new InvariantError(promise, what, { run: this.run });
  }

  #check(): void {
    if (this.#state === "released") throw new Released();
  }

  /** After a takeover it may be told again: with the same ids, so it is one span. */
  #tellTelemetry(started: RunStarted, startedAtMs: number, endedAtMs: number, end: TerminalEvent): void {
    const error = end.type === "RunFailed" ? end.error : undefined;
    this.#deps.telemetry.runEnded({ run: this.run, started, startedAtMs, endedAtMs, outcome: end.type, error });
  }
}

interface Question {
  readonly name: string;
  readonly input: unknown;
  readonly resolve: (answer: { output: unknown } | undefined) => void;
  readonly reject: (reason: unknown) => void;
}

/** A command that no worker will get. */
interface Lost {
  readonly subject: string;
  readonly seq: number;
}

interface Folded {
  decided: Decided[];
  /** Why the run cannot be handled at all. */
  fault?: StepstreamError;
  /** What it was started as, where its workflow is not known. */
  started?: RunStarted;
  /** After a takeover: slots whose command is out or answered. */
  out?: Set<number>;
  /** After a takeover: commands that no worker will get, by their slots. */
  stranded?: ReadonlyMap<number, Lost>;
  /** After a takeover: slots without a command that are being cancelled. */
  unsent?: Set<number>;
  /** After a takeover: all open slots are to be looked after. */
  all?: true;
}

function openOf(execution: RunExecution, numbers: Iterable<number>): Slot[] {
  const slots: Slot[] = [];
  for (const number of numbers) {
    const slot = execution.slots.get(number);
    // Slots of an earlier life are gone: all of them are done.
    if (slot && slot.state !== "done") slots.push(slot);
  }
  return slots;
}

/** The open slots that a decision is about, and those whose timers were early: each once. */
function slotsToArm(execution: RunExecution, decided: readonly Decided[], early: readonly EarlyTimer[]): Slot[] {
  if (decided.length === 1 && early.length === 0) {
    const { event } = decided[0]!;
    // Of one step at a time, as nearly all decisions are.
    if (event.type === "StepScheduled") return openOf(execution, [event.slot]);
  }
  const numbers = new Set<number>();
  eachSlotOf(decided, (n) => numbers.add(n));
  for (const { slot } of early) numbers.add(slot);
  return numbers.size > 0 ? openOf(execution, numbers) : NO_SLOTS;
}

const NO_SLOTS: Slot[] = [];

function firesTimer({ message }: Arrival): boolean {
  return message.type === "TimerFired";
}

function startsChild({ event }: Decided): boolean {
  return event.type === "ChildScheduled";
}

/** Most turns ask for neither of what is made with this. */
function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function scheduledIn(decided: readonly Decided[]): Set<number> {
  const slots = new Set<number>();
  for (const { event } of decided)
    if (event.type === "StepScheduled" || event.type === "ChildScheduled") slots.add(event.slot);
  return slots;
}

/** Events about slots that the run has done with. */
function over(execution: RunExecution): (event: RunEvent) => boolean {
  return (event) => "slot" in event && (execution.slots.get(event.slot)?.state ?? "done") === "done";
}
