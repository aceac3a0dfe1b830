import {
  type CancelSlots,
  type ChildEnded,
  DEADLINE,
  type InboxMessage,
  InvariantError,
  MAX_SCHEDULE_MS,
  thorough,
} from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import type { Need } from "../audit/needs.ts";
import type { Decided, RunExecution } from "../run/execution.ts";
import type { Slot } from "../run/slot.ts";
import { childOf, startChild, stopChild, unstarted } from "./children.ts";
import { publishCommand, removeCommand, timeoutOf } from "./commands.ts";
import type { Later } from "./delay-queue.ts";
import { type Deps, Released } from "./deps.ts";
import { LocalTimers } from "./local-timers.ts";
import { retrying } from "./retrying.ts";

const SETTLE_EVERY_MS = 1_000;
const LOOK_AGAIN_MS = 1_000;
/** The worker goes first; the coordinator only speaks up when it has not. */
const DEADLINE_GRACE_MS = 2_000;

/**
 * What the open slots of a run want done in the world. Called only for slots whose decision is in the
 * journal. Everything here is safe to do again, which is what a takeover does.
 *
 * E1. An open step has a command out, or its outcome is in the inbox.
 * E2. An open timer is stored, or runs here while the message that caused it stays unacknowledged.
 * E3. Steps that are being cancelled are told so once a second; after their grace the command is removed and
 *     the slot abandoned. While that goes on, a message stays unacknowledged, or a timer is stored.
 * E4. An open child has been started, or its end is in the inbox. One that is being cancelled has been told.
 *
 * Asserted of every slot before messages are acknowledged, where checks are thorough ("effects E1" …).
 */
export class Effects {
  readonly #deps: Deps;
  readonly #run: RunExecution;
  readonly #wanted: () => boolean;
  readonly #timers: LocalTimers;
  /** Slots whose timer runs here only. */
  readonly #inMemory = new Set<number>();
  /** Which message each slot lives by that is kept alive here, and how many slots live by each. */
  readonly #livesBy = new Map<number, number>();
  readonly #living = new Map<number, number>();
  /** Slots that are being cancelled. */
  readonly #settling = new Set<number>();
  /** Slots that are being abandoned, or timed out, which takes as long as the log is away: one such work for each. */
  readonly #ending = new Set<number>();
  /** Timers in the log, to be removed when their slots are done, and when they fire; undefined: another may have stored it. */
  readonly #stored = new Map<number, number | undefined>();
  /** Steps whose deadline is known to this process only, and when it is to be stored, if that is later. */
  readonly #watched = new Map<number, Later | undefined>();
  /** In which state steps and children were last seen to. Only where checks are thorough. */
  #seenTo: Map<number, Slot["state"] | "unsent"> | undefined;
  #graceEnds: number | undefined;

  /** @param wanted - False once the run is let go: nothing more is to be done. */
  constructor(deps: Deps, run: RunExecution, wanted: () => boolean) {
    this.#deps = deps;
    this.#run = run;
    this.#wanted = wanted;
    this.#timers = new LocalTimers(deps.clock);
  }

  /** After a takeover: whoever had the run before may have stored timers for these. */
  mayHaveStored(slots: Iterable<Slot>): void {
    for (const slot of slots) {
      if (slot.state === "done" || slot.kind === "child") continue;
      if (slot.kind === "timer" || slot.state === "waiting") this.#stored.set(slot.slot, undefined);
      if (slot.kind === "step") this.#stored.set(slot.slot + DEADLINE, undefined);
    }
  }

  /**
   * Does what the given slots want.
   *
   * @param inHand - Is this message of the inbox in hand, so that it can stay unacknowledged?
   * @param out - Slots whose command is out already, as far as known (a takeover).
   * @param isUnsent - Was this slot asked for only now, so that no command of it can be out?
   * @param stranded - Commands that look outstanding and that no worker will get (a takeover).
   */
  arm(
    slots: readonly Slot[],
    inHand: (seq: number) => boolean,
    isUnsent: (slot: number) => boolean,
    out?: ReadonlySet<number>,
    stranded?: ReadonlyMap<number, { seq: number }>,
  ): Promise<unknown> {
    const work: Promise<unknown>[] = [];
    let settling = false;
    for (const slot of slots) {
      if (slot.kind === "child") work.push(this.#armChild(slot, isUnsent(slot.slot)));
      else if (slot.state === "open" && slot.kind === "step") {
        this.#letGo(slot.slot);
        if (!out?.has(slot.slot)) {
          const takenOver = out !== undefined && !isUnsent(slot.slot);
          const lost = stranded?.get(slot.slot)?.seq;
          work.push(publishCommand(this.#deps, this.#run, slot, this.#wanted, takenOver, lost));
        }
        this.#watchDeadline(slot);
      } else if (slot.state === "open" || slot.state === "waiting") {
        this.#unwatch(slot.slot);
        work.push(this.#armTimer(slot, inHand(slot.cause)));
      } else if (slot.state === "cancelling") {
        settling = true;
        this.#settling.add(slot.slot);
        this.#liveBy(slot);
        if (isUnsent(slot.slot))
          work.push(this.#tell({ v: 1, type: "SlotAbandoned", slot: slot.slot }, `${slot.slot}.unsent`));
        else if (!inHand(slot.cause)) work.push(this.#storeTimer(slot, this.#deps.serverClock.now() + this.#graceMs()));
      }
    }
    if (thorough) {
      this.#seenTo ??= new Map();
      for (const { slot, state } of slots) this.#seenTo.set(slot, isUnsent(slot) ? "unsent" : state);
    }
    const done = work.length === 1 ? work[0]! : Promise.all(work);
    return settling ? done.then(() => this.#timers.has("settle") || this.#settle()) : done;
  }

  /**
   * What is true once all slots were armed. Looks at every slot: for tests and the simulation.
   *
   * @param inHand - As for `arm`.
   * @throws {InvariantError}
   */
  check(inHand: (seq: number) => boolean): void {
    if (this.#run.closed) return;
    for (const { slot, kind, state, cause } of this.#run.slots.values()) {
      if (state === "done") continue;
      const seenTo = this.#seenTo?.get(slot);
      const lives = this.#stored.has(slot) || (this.#livesBy.get(slot) === cause && inHand(cause));
      const isSent = seenTo === state || (seenTo === "unsent" && state === "open");
      if (kind === "child") {
        const isTold = isSent || (seenTo === "unsent" && state === "cancelling");
        if (!isTold) this.#violated("effects E4", slot, "its child was not started, or not told");
      } else if (state === "cancelling") {
        const ends = seenTo === "unsent" || (this.#settling.has(slot) && lives);
        if (!ends) this.#violated("effects E3", slot, "it is being cancelled, and nothing sees to its end");
      } else if (kind === "step" && state === "open") {
        if (!isSent) this.#violated("effects E1", slot, "its command is not out");
      } else if (!lives) this.#violated("effects E2", slot, "its timer is not stored, and does not run here");
    }
  }

  #violated(promise: string, slot: number, what: string): never {
    throw new InvariantError(promise, what, { run: this.#run.runId, slot });
  }

  /**
   * Does a slot live by this message? Then it stays unacknowledged until the slot is done. It is the very message that
   * brought the slot into its state, because whoever else has that one holds on to it too; any other may be
   * acknowledged under our hands.
   */
  mustHold(seq: number): boolean {
    return this.#living.has(seq);
  }

  #liveBy(slot: Slot): void {
    this.#letGo(slot.slot);
    this.#livesBy.set(slot.slot, slot.cause);
    this.#living.set(slot.cause, (this.#living.get(slot.cause) ?? 0) + 1);
  }

  #letGo(number: number): void {
    this.#inMemory.delete(number);
    const seq = this.#livesBy.get(number);
    if (seq === undefined) return;
    this.#livesBy.delete(number);
    const left = this.#living.get(seq)! - 1;
    if (left > 0) this.#living.set(seq, left);
    else this.#living.delete(seq);
  }

  /** After a turn: what was kept for slots that are done now is removed. */
  sweep(): void {
    for (const number of this.#run.takeDone()) {
      this.#letGo(number);
      this.#settling.delete(number);
      this.#timers.clear(`timer.${number}`);
      this.#unwatch(number);
      this.#removeTimer(number);
      this.#removeTimer(number + DEADLINE);
    }
  }

  /** Of its steps, those that are stored as timers. */
  *deadlines(): Iterable<Need> {
    for (const [timer, at] of this.#stored) {
      const slot = timer - DEADLINE;
      if (slot > 0 && at !== undefined && this.#run.slots.get(slot)?.state === "open")
        yield { kind: "timer", slot, timer, at };
    }
  }

  /** The run may be let go now: nothing of it is under way in this process alone. */
  get idle(): boolean {
    if (this.#inMemory.size > 0 || this.#timers.has("settle")) return false;
    return this.#watched.size === 0;
  }

  stop(): void {
    for (const number of [...this.#watched.keys()]) this.#unwatch(number);
    this.#timers.clearAll();
  }

  // ---------------------------------------------------------------- timers

  #removeTimer(number: number): void {
    if (!this.#stored.delete(number)) return;
    this.#deps.log.cancelTimer(this.#run.runId, number).catch((error) => this.#trouble("cancel a timer", error));
  }

  async #armTimer(slot: Slot, held: boolean): Promise<void> {
    const waitMs = slot.fireAt! - this.#deps.serverClock.now();
    if (!held || waitMs > this.#deps.settings.shortTimerMs) return this.#storeTimer(slot, slot.fireAt!);
    this.#liveBy(slot);
    this.#inMemory.add(slot.slot);
    // One that was early has used its id: see `early`.
    const key = `${slot.slot}.${slot.attempt}.fired${slot.early > 0 ? `.${slot.early}` : ""}`;
    this.#timers.set(`timer.${slot.slot}`, waitMs, () => {
      // This clock may have been set back since; what counts is the server's.
      const early = this.#deps.serverClock.now() < slot.fireAt!;
      const done = early ? this.#armTimer(slot, true) : this.#tell({ v: 1, type: "TimerFired", slot: slot.slot }, key);
      done.catch((error) => this.#trouble("fire a timer", error));
    });
  }

  /** @param number - The slot's own, or its deadline's. */
  async #storeTimer(slot: Slot, atMs: number, number = slot.slot): Promise<void> {
    const { log } = this.#deps;
    const { runId } = this.#run;
    const needed = () => this.#wanted() && slot.state !== "done";
    // Stored again for the same time, it would leave one behind that a crash of nats-server brings back (see the auditor).
    const mayBeStored = this.#stored.has(number) && atMs > this.#deps.serverClock.now();
    const store = async () => {
      const at = mayBeStored ? await log.timerAt(runId, number) : undefined;
      if (at === undefined || !isSameTime(at, atMs)) await log.setTimer(runId, number, atMs);
    };
    await retrying(this.#deps, "store a timer", store, needed, runId);
    this.#stored.set(number, atMs);
    // Done while it was being stored: nobody would remove it later.
    if (slot.state === "done") this.#removeTimer(number);
  }

  // ---------------------------------------------------------------- children

  async #armChild(slot: Slot, unsent: boolean): Promise<void> {
    const cancelled = slot.state === "cancelling";
    const child = childOf(slot);
    const parent = { runId: this.#run.runId, mark: this.#run.mark, started: this.#run.started! };
    if (cancelled && unsent) return this.#endChild(unstarted(parent, child, "cancelled"));
    const wanted = () => this.#wanted() && slot.state !== "done";
    // It may never have been started: then nobody would answer to the cancel.
    const started = await startChild(this.#deps, parent, child, wanted);
    if (started === "taken") return this.#endChild(unstarted(parent, child, "failed"));
    if (cancelled) await stopChild(this.#deps, parent, child, slot.cancelled!.message, wanted);
  }

  async #endChild(message: ChildEnded): Promise<void> {
    await this.#tell(message, `${message.slot}.unstarted`);
  }

  // ---------------------------------------------------------------- deadlines

  /** When the coordinator has to look after a step itself, in epoch ms. */
  #deadline(slot: Slot, pickedUp: boolean): number {
    const { totalMs, queueMs } = timeoutOf(slot.step!);
    const total = totalMs === undefined ? Number.POSITIVE_INFINITY : slot.scheduledAt + totalMs + DEADLINE_GRACE_MS;
    if (queueMs === undefined || slot.attempt > 1 || pickedUp) return total;
    return Math.min(slot.scheduledAt + queueMs, total);
  }

  /** Soon: in memory. Later: stored if the slot lives long enough for it to matter. */
  #watchDeadline(slot: Slot, pickedUp = false): void {
    this.#forgetDeadline(slot);
    const at = this.#deadline(slot, pickedUp);
    this.#unwatch(slot.slot);
    if (!Number.isFinite(at)) return;
    const waitMs = at - this.#deps.serverClock.now();
    if (waitMs <= this.#deps.settings.deadlineAfterMs) {
      this.#watched.set(slot.slot, undefined);
      this.#timers.set(`deadline.${slot.slot}`, waitMs, () => this.#lookAfter(slot));
      return;
    }
    const later = this.#deps.later.add(() => {
      if (slot.state !== "open" || !this.#watched.has(slot.slot) || !this.#wanted()) return;
      const stored = this.#storeTimer(slot, at, slot.slot + DEADLINE).then(() => this.#watched.delete(slot.slot));
      stored.catch((error) => this.#trouble("store a deadline", error));
    });
    this.#watched.set(slot.slot, later);
  }

  /** A timer may be stored for it, and may have fired: it is not known when it fires until it is stored again. */
  #forgetDeadline({ slot }: Slot): void {
    if (this.#stored.has(slot + DEADLINE)) this.#stored.set(slot + DEADLINE, undefined);
  }

  #unwatch(number: number): void {
    if (!this.#watched.has(number)) return;
    const later = this.#watched.get(number);
    // It would keep the whole run in memory until then.
    if (later) later.fn = undefined;
    else this.#timers.clear(`deadline.${number}`);
    this.#watched.delete(number);
  }

  #lookAfter(slot: Slot): void {
    if (slot.state !== "open") return;
    this.#once(slot, "look after a deadline", async () => {
      try {
        await this.checkDeadline(slot);
      } catch (error) {
        this.#lookAgain(slot);
        throw error;
      }
    });
  }

  #lookAgain(slot: Slot): void {
    this.#timers.set(`deadline.${slot.slot}`, LOOK_AGAIN_MS, () => this.#lookAfter(slot));
  }

  /** A step's time may be up, and no worker has said so. */
  async checkDeadline(slot: Slot): Promise<void> {
    const { log, serverClock } = this.#deps;
    if (slot.state !== "open" || !this.#wanted()) return;
    this.#forgetDeadline(slot);
    const { totalMs, queueMs } = timeoutOf(slot.step!);
    const age = serverClock.now() - slot.scheduledAt;
    const name = slot.step!.definition.name;
    if (totalMs !== undefined && age >= totalMs) return this.#timeOut(slot, "total");
    if (queueMs !== undefined && slot.attempt === 1 && age >= queueMs) {
      const command = await log.last(log.subjects.command(name, this.#run.runId, slot.slot), { fresh: true });
      // Not out yet, or done already: look again.
      if (!command) return this.#lookAgain(slot);
      const { delivered } = await log.progress("COMMANDS", log.subjects.stepConsumer(name));
      if (command.seq > delivered) return this.#timeOut(slot, "queue");
      return this.#watchDeadline(slot, true);
    }
    this.#watchDeadline(slot);
  }

  async #timeOut(slot: Slot, kind: "queue" | "total"): Promise<void> {
    // First the outcome, then the command: without an outcome a command that is gone would never come back.
    if (!(await this.#tell({ v: 1, type: "SlotTimedOut", slot: slot.slot, kind }, `${slot.slot}.timeout`))) return;
    this.#askToStop([slot.slot], `its ${kind} time-out is over`);
    await this.#removeCommand(slot);
  }

  // ---------------------------------------------------------------- settling

  #graceMs(): number {
    return this.#run.cancelRequest?.graceMs ?? this.#deps.settings.graceMs;
  }

  #settle(): void {
    const slots = [...this.#settling].flatMap((number) => {
      const slot = this.#run.slots.get(number);
      return slot?.state === "cancelling" ? [slot] : [];
    });
    if (slots.length === 0 || !this.#wanted()) {
      this.#graceEnds = undefined;
      return;
    }
    const now = this.#deps.clock.now();
    this.#graceEnds ??= now + this.#graceMs();
    if (now >= this.#graceEnds) {
      for (const slot of slots) this.#once(slot, "abandon a slot", () => this.#abandon(slot));
    } else
      this.#askToStop(
        slots.map((slot) => slot.slot),
        this.#run.cancelRequest?.reason ?? "its result is not needed any more",
      );
    const left = this.#graceEnds - now;
    this.#timers.set("settle", left > 0 ? Math.min(left, SETTLE_EVERY_MS) : SETTLE_EVERY_MS, () => this.#settle());
  }

  /** Does it, unless that is under way already. */
  #once(slot: Slot, what: string, act: () => Promise<void>): void {
    if (this.#ending.has(slot.slot)) return;
    this.#ending.add(slot.slot);
    act()
      .catch((error) => this.#trouble(what, error))
      .finally(() => this.#ending.delete(slot.slot));
  }

  async #abandon(slot: Slot): Promise<void> {
    await this.#removeCommand(slot);
    await this.#tell({ v: 1, type: "SlotAbandoned", slot: slot.slot }, `${slot.slot}.abandoned`);
  }

  #askToStop(slots: number[], reason: string): void {
    const { log } = this.#deps;
    const upTo = this.#run.folded;
    askToStop(log, { v: 1, type: "CancelSlots", run: this.#run.runId, slots, reason, upTo });
  }

  async #removeCommand(slot: Slot): Promise<void> {
    const { log } = this.#deps;
    const subject = log.subjects.command(slot.step!.definition.name, this.#run.runId, slot.slot);
    const own = ({ after }: { after?: unknown }) => after === slot.after;
    const remove = () => removeCommand(log, subject, own);
    await retrying(this.#deps, "remove a command", remove, this.#wanted, this.#run.runId);
  }

  /** Says to the run's inbox what only the coordinator can know. @returns whether it has been said. */
  async #tell(message: InboxMessage & { slot: number }, key: string): Promise<boolean> {
    const { log } = this.#deps;
    const { runId } = this.#run;
    const id = `${this.#run.mark}.${key}`;
    const wanted = () => this.#wanted() && (this.#run.slots.get(message.slot)?.state ?? "done") !== "done";
    const { after } = this.#run.slots.get(message.slot) ?? {};
    const text = JSON.stringify({ ...message, after });
    const append = () => log.append(log.subjects.inboxFrom("coordinator", runId), text, { id });
    return (await retrying(this.#deps, `append ${message.type} to an inbox`, append, wanted, runId)) !== undefined;
  }

  #trouble(what: string, error: unknown): void {
    if (this.#wanted() && !(error instanceof Released)) this.#deps.warn(what, error, this.#run.runId);
  }
}

/** As the log rounds it. */
function isSameTime(storedMs: number, atMs: number): boolean {
  return storedMs === Math.ceil(Math.min(MAX_SCHEDULE_MS, atMs));
}

/** Of a reason for workers: the bus takes no hint of any length, and there may be one for each of many slots. */
const REASON_MAX = 1_000;
const SLOTS_PER_HINT = 10_000;

/** Asks workers to give slots up. */
export function askToStop(log: EventLog, hint: CancelSlots): void {
  const reason = hint.reason.slice(0, REASON_MAX);
  for (let from = 0; from < hint.slots.length; from += SLOTS_PER_HINT) {
    const slots = hint.slots.slice(from, from + SLOTS_PER_HINT);
    log.broadcast(log.subjects.cancel(hint.run), JSON.stringify({ ...hint, reason, slots }));
  }
}

/** Calls back with each slot that the events are about, as often as they are. */
export function eachSlotOf(decided: readonly Decided[], fn: (slot: number) => void): void {
  for (const { event } of decided) {
    if (event.type === "SlotsCancelled") for (const slot of event.slots) fn(slot);
    else if ("slot" in event && event.type !== "CompensationFailed") fn(event.slot);
  }
}
