import { DEADLINE, isTerminal, MalformedMessageError, readableEvents } from "@stepstream/contracts";
import { type ChildState, describeNeed, leftover, missing, NOTHING, type StoredOfRun } from "../audit/compare.ts";
import { type Need, needsOf } from "../audit/needs.ts";
import { deadlineOf } from "./deadlines.ts";
import type { Deps } from "./deps.ts";
import { reportEnd } from "./ended.ts";
import { type History, readHistory, startOf } from "./history.ts";

/** What a run in memory waits for, and the last message of its inbox that this takes into account. */
export interface Awaited {
  readonly needs: readonly Need[];
  readonly folded: number;
}

/** The runs of the partition that are in memory. */
export interface Mailboxes {
  /** "busy": it is being handled, here or elsewhere, or parked. undefined: it is not in memory. */
  awaited(run: string): Awaited | "busy" | undefined;
  runs(): Iterable<string>;
  /** Reads the run, and does what its slots want, as after a takeover. @returns Whether that is done: not of a parked run. */
  load(run: string): Promise<boolean>;
}

/** A run that is not in memory. Of one that is over, only what is left of it is of interest. */
interface Known extends Awaited {
  readonly over?: true;
  /** Up to this message its inbox was handled for certain: `folded`, if it was in memory here. */
  readonly handled: number;
  /** How many messages its inbox had when that was last looked at. */
  messages?: number;
}

/** What was found of a run in one look. */
interface Found {
  readonly absent: readonly Need[];
  readonly rest: StoredOfRun;
}

/** Of a run: what was absent, or left over, in the last look. */
interface Suspect {
  readonly what: string;
  /** For how many looks its inbox had messages that may explain it. */
  patience: number;
}

/** Requests for the last messages of so many subjects at a time. */
const CHUNK = 256;
/** Runs that are read or loaded at a time. */
const AT_A_TIME = 16;
/** Children that are looked at in one look, the others in the next ones. */
const CHILDREN_PER_LOOK = 128;
/** Inboxes are looked at once in so many looks: that lists all runs, also those that are over. */
const INBOXES_EVERY = 6;
/** For so many looks a message that is on its way may be why something is absent. Then it is taken for stranded. */
const PATIENCE = 6;

/**
 * The auditor of one partition. Every live run has a durable cause (guarantee 6); causes are messages, and messages can go missing:
 * by a purge, a deletion by hand, a server that lost its disk, a crash that brings back what was removed. So all of them are
 * compared, again and again, with what the runs wait for:
 *
 *   what is stored            one listing of the commands and one of the timers
 *   what runs wait for        of those in memory their slots; of those evicted what they waited for then; of others their history
 *   what is to be done        pure: see ../audit
 *   repair                    the run is loaded as after a takeover: the ordinary fences keep that from doing anything twice
 *   sweep                     what no slot has use for is removed
 *
 * N1. A repair needs two looks, `ackWaitMs` apart, with the same result, and a fresh read. So does a removal.
 * N2. Every live run of the partition is compared in each look, once it is known. Those that another coordinator had are read at
 *     a bounded rate, and once.
 * N3. Where nothing is absent, a look costs two listings, and two requests for each step (N2 of stranded.ts).
 * N4. What is repaired or removed is counted and reported.
 *
 * Checked elsewhere:
 *   N1  ../../../../test/simulation/auditor.test.ts: waits for a second look before it repairs anything
 *   N2  ../../../../test/simulation/auditor.test.ts: knows the runs that another coordinator had, and reads each once
 *   N3  ../../../../test/simulation/auditor.test.ts: costs a fixed number of requests where nothing is absent
 *   N4  ../../../../test/e2e/auditor.test.ts: one by one: only those are published again
 */
export class Auditor {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #mailboxes: Mailboxes;
  readonly #wanted: () => boolean;
  /** Runs that are not in memory. */
  readonly #known = new Map<string, Known>();
  /** Runs of which it is not known whether they are over, and what they wait for. */
  readonly #unread = new Set<string>();
  #suspects = new Map<string, Suspect>();
  /** The runs that the partition had when it was taken were listed. */
  #listed = false;
  /** Where the next look at children begins. */
  #child = 0;
  /** Those that the last look has found to be over, or not started. */
  readonly #suspectedChildren = new Set<string>();

  /** @param wanted - Is the partition still this coordinator's? */
  constructor(deps: Deps, partition: number, mailboxes: Mailboxes, wanted: () => boolean) {
    this.#deps = deps;
    this.#partition = partition;
    this.#mailboxes = mailboxes;
    this.#wanted = wanted;
  }

  /** A run leaves the memory. */
  evicted(run: string): void {
    const awaited = this.#mailboxes.awaited(run);
    if (awaited !== undefined && awaited !== "busy") this.#known.set(run, { ...awaited, handled: awaited.folded });
    else if (!this.#known.has(run)) this.#unread.add(run);
  }

  /** A run is over: what is left of it, if anything is, will be found in a listing. */
  ended(run: string): void {
    this.#known.delete(run);
    this.#unread.delete(run);
  }

  /** @returns In how many milliseconds to look again. */
  async look(): Promise<number> {
    const { log, settings } = this.#deps;
    const { all } = log.subjects;
    const [commands, timers] = await Promise.all([
      log.list("COMMANDS", all.commandsOfPartition(this.#partition)),
      log.list("TIMERS", all.timersOfPartition(this.#partition)),
    ]);
    const stranded = await this.#deps.stranded.among(commands.keys());
    const stored = new Stored();
    for (const subject of commands.keys()) stored.add(this.#parse(subject), subject, stranded.has(subject));
    for (const subject of timers.keys()) stored.add(log.subjects.parse(subject), subject, false);
    const runs = this.#awaited(stored);
    const children = await this.#children(runs);
    if (!this.#wanted()) return settings.auditMs;

    const before = this.#suspects;
    this.#suspects = new Map();
    const confirmed = new Map<string, Found>();
    for (const [run, awaited] of runs) {
      const found = this.#compare(run, awaited, stored, children);
      if (!found) continue;
      const what = JSON.stringify([found.absent, [...found.rest.commands], [...found.rest.timers]]);
      const known = before.get(run);
      const suspect = known?.what === what ? known : { what, patience: PATIENCE };
      this.#suspects.set(run, suspect);
      if (known === suspect) confirmed.set(run, found);
    }
    await this.#each([...confirmed.keys()], (run) => this.#settle(run, confirmed.get(run)!, stored));
    const isSoon = this.#suspects.size > confirmed.size || this.#unread.size > 0;
    return isSoon ? Math.min(settings.ackWaitMs, settings.auditMs) : settings.auditMs;
  }

  /** Reads the runs that are not known yet. @returns In how many milliseconds to look again. */
  async readUnread(): Promise<number> {
    if (!this.#listed) await this.#list();
    await this.#each([...this.#unread], async (run) => {
      await this.#deps.pace.turn();
      if (this.#wanted() && this.#unread.delete(run)) await this.#read(run).catch((error) => this.#again(run, error));
    });
    return 1_000;
  }

  #again(run: string, error: unknown): never {
    this.#unread.add(run);
    throw error;
  }

  /**
   * Looks for messages of inboxes that were passed over: they lie below the ack floor of the partition's consumer, and their run
   * has not handled them. Whoever purges EVENTS with a subject makes such messages.
   *
   * @returns In how many milliseconds to look again.
   */
  async lookAtInboxes(): Promise<number> {
    const { log, settings } = this.#deps;
    const { subjects } = log;
    const journals = await log.list("EVENTS", subjects.all.journalsOfPartition(this.#partition));
    const inboxes = await log.list("EVENTS", subjects.all.inbox(this.#partition));
    const { ackFloor } = await log.progress("EVENTS", `inbox-${this.#partition}`);
    const doubtful: string[] = [];
    for (const [subject, messages] of inboxes) {
      const run = subjects.parse(subject)?.run;
      if (run === undefined || this.#mailboxes.awaited(run) !== undefined) continue;
      const known = this.#known.get(run);
      // Of one that is neither known nor without a decision, nothing was passed over when it was last known.
      const isDoubtful = known ? known.messages !== messages : !journals.has(subjects.journal(run));
      if (known) known.messages = messages;
      if (isDoubtful) doubtful.push(run);
    }
    const lasts = await log.lasts(doubtful.map((run) => subjects.inbox(run)));
    const passedOver = doubtful.filter((run) => {
      const last = lasts.get(subjects.inbox(run))?.seq ?? 0;
      return last > (this.#known.get(run)?.handled ?? 0) && last <= ackFloor;
    });
    await this.#each(passedOver, (run) => this.#readInbox(run));
    return INBOXES_EVERY * settings.auditMs;
  }

  async #readInbox(run: string): Promise<void> {
    const { log, pace, emit, telemetry } = this.#deps;
    await pace.turn();
    const before = (await log.last(log.subjects.journal(run), { fresh: true }))?.seq ?? 0;
    if (!this.#wanted() || !(await this.#mailboxes.load(run))) return;
    const after = (await log.last(log.subjects.journal(run), { fresh: true }))?.seq ?? 0;
    // Else its messages were handled, and decided nothing.
    if (after === before) return;
    telemetry.repaired?.("message");
    emit({ type: "repaired", run, missing: ["messages of its inbox, which were passed over"] });
  }

  // ---------------------------------------------------------------- comparing

  /** What all runs wait for, as far as they are known. Those of which only something stored is known are to be read. */
  #awaited(stored: Stored): Map<string, Awaited> {
    const runs = new Map<string, Awaited>();
    for (const [run, known] of this.#known) {
      if (!known.over || stored.runs.has(run)) runs.set(run, known);
      else this.#known.delete(run);
    }
    for (const run of this.#mailboxes.runs()) {
      const awaited = this.#mailboxes.awaited(run);
      if (awaited === "busy") runs.delete(run);
      else if (awaited) runs.set(run, awaited);
    }
    for (const run of stored.runs.keys())
      if (!runs.has(run) && this.#mailboxes.awaited(run) === undefined) this.#unread.add(run);
    return runs;
  }

  /** @returns undefined if nothing is absent or left over. */
  #compare(run: string, { needs }: Awaited, stored: Stored, children: ReadonlyMap<string, ChildState>) {
    const { serverClock, settings } = this.#deps;
    const its = stored.runs.get(run);
    const isCold = this.#mailboxes.awaited(run) === undefined;
    const when = { now: serverClock.now(), shortTimerMs: settings.shortTimerMs, isCold };
    const absent = missing(needs, its?.alive ?? NOTHING, when, children);
    const rest = its ? leftover(needs, its.all) : NOTHING;
    return absent.length + rest.commands.size + rest.timers.size > 0 ? { absent, rest } : undefined;
  }

  /** How some of the children stand that runs wait for: all of them in turn, and those again that were suspected. */
  async #children(runs: ReadonlyMap<string, Awaited>): Promise<Map<string, ChildState>> {
    const { log } = this.#deps;
    const all: string[] = [];
    for (const { needs } of runs.values()) for (const need of needs) if (need.kind === "child") all.push(need.run);
    const states = new Map<string, ChildState>();
    if (all.length === 0) return states;
    const first = this.#child % all.length;
    this.#child = first + CHILDREN_PER_LOOK;
    const isTurn = (i: number) => (i - first + all.length) % all.length < CHILDREN_PER_LOOK;
    const chosen = all.filter((run, i) => isTurn(i) || this.#suspectedChildren.has(run));
    const [inboxes, journals] = await Promise.all([
      log.lasts(chosen.map((run) => log.subjects.inbox(run))),
      log.lasts(chosen.map((run) => log.subjects.journal(run))),
    ]);
    this.#suspectedChildren.clear();
    for (const run of chosen) {
      const journal = journals.get(log.subjects.journal(run));
      const isOver = journal !== undefined && isEnd(journal.text);
      const state = !inboxes.has(log.subjects.inbox(run)) ? "unstarted" : isOver ? "over" : "running";
      states.set(run, state);
      if (state !== "running") this.#suspectedChildren.add(run);
    }
    return states;
  }

  // ---------------------------------------------------------------- repairing and sweeping

  /** The second look has shown the same as the first. */
  async #settle(run: string, { absent, rest }: Found, stored: Stored): Promise<void> {
    const { log } = this.#deps;
    const suspect = this.#suspects.get(run)!;
    const last = await log.last(log.subjects.inbox(run), { fresh: true });
    const inMemory = this.#mailboxes.awaited(run);
    const folded = (inMemory === "busy" ? undefined : (inMemory ?? this.#known.get(run)))?.folded;
    if (folded === undefined) return;
    if ((last?.seq ?? 0) > folded && suspect.patience-- > 0) {
      // Something has come since: it will be handled, and may be the reason.
      if (!inMemory) this.#forget(run);
      return;
    }
    const history = await readHistory(this.#deps, run, 0, true);
    const isGone = startOf(history) === undefined;
    if (isGone && last && !(await this.#isStray(history, run))) return;
    const { over, needs } = isGone ? { over: true, needs: [] } : needsOf(history);
    if (!this.#wanted()) return;
    if (!over && (await this.#repair(run, absent, needs, suspect))) return;
    await this.#sweep(run, leftover(needs, rest), stored);
    if (over && !inMemory) this.#known.delete(run);
  }

  /** Messages that a deleted run has left, or that came for it later: none of them starts a run, and all can be read. */
  async #isStray({ inbox }: History, run: string): Promise<boolean> {
    const { log } = this.#deps;
    const oldest = await log.oldest("EVENTS", log.subjects.inbox(run));
    return oldest === undefined || oldest.seq === inbox[0]?.seq;
  }

  /** @returns Whether something was absent, and is not any more, as far as that can be seen from here. */
  async #repair(run: string, absent: readonly Need[], fresh: readonly Need[], suspect: Suspect): Promise<boolean> {
    const { emit, telemetry } = this.#deps;
    const known = new Set(fresh.map(({ slot }) => slot));
    const gone: Need[] = [];
    for (const need of absent)
      if (known.has(need.slot) && !(await this.#isOnItsWay(run, need, suspect))) gone.push(need);
    if (gone.length === 0) return false;
    const children = gone.flatMap((need) => (need.kind === "child" ? [need.run] : []));
    for (const child of children) await reportEnd(this.#deps, child, this.#wanted);
    if (!(await this.#mailboxes.load(run)) || !this.#wanted()) return true;
    for (const need of gone) telemetry.repaired?.(need.kind);
    emit({ type: "repaired", run, missing: gone.map(describeNeed) });
    return true;
  }

  /** It has fired, and what it fired is still to be taken. */
  async #isOnItsWay(run: string, need: Need, suspect: Suspect): Promise<boolean> {
    if (need.kind !== "timer" || suspect.patience <= 0) return false;
    const { log } = this.#deps;
    const due = await log.last(log.subjects.due(run, need.timer), { fresh: true });
    if (due) suspect.patience--;
    return due !== undefined;
  }

  async #sweep(run: string, rest: StoredOfRun, stored: Stored): Promise<void> {
    const { log, emit, telemetry } = this.#deps;
    let commands = 0;
    for (const slot of rest.commands)
      for (const subject of stored.commandsOf(run, slot)) commands += await log.remove(subject);
    for (const timer of rest.timers) await log.cancelTimer(run, timer);
    const timers = rest.timers.size;
    if (commands + timers === 0) return;
    if (commands > 0) telemetry.swept?.("command", commands);
    if (timers > 0) telemetry.swept?.("timer", timers);
    emit({ type: "swept", run, commands, timers });
  }

  // ---------------------------------------------------------------- runs that are not known yet

  /** The runs that the partition had before this coordinator took it: those that are not over are to be read. */
  async #list(): Promise<void> {
    const { log, pace } = this.#deps;
    const { subjects } = log;
    const journals = [...(await log.list("EVENTS", subjects.all.journalsOfPartition(this.#partition))).keys()];
    for (let from = 0; from < journals.length && this.#wanted(); from += CHUNK) {
      const chunk = journals.slice(from, from + CHUNK);
      await pace.turn(CHUNK / 16);
      for (const [subject, { text }] of await log.lasts(chunk)) {
        const run = subjects.parse(subject)?.run;
        if (run === undefined || isEnd(text)) continue;
        if (!this.#known.has(run) && this.#mailboxes.awaited(run) === undefined) this.#unread.add(run);
      }
    }
    this.#listed = true;
  }

  async #read(run: string): Promise<void> {
    if (this.#mailboxes.awaited(run) !== undefined) return;
    const history = await readHistory(this.#deps, run, 0);
    const last = history.inbox.at(-1)?.seq ?? 0;
    const { over, needs } = startOf(history) ? needsOf(history) : { over: true, needs: [] };
    if (over) return void this.#know(run, { needs: [], folded: last, handled: last, over: true });
    const deadlines = await this.#deadlines(run, needs);
    this.#know(run, { needs: [...needs, ...deadlines], folded: last, handled: history.upTo });
  }

  #know(run: string, known: Known): void {
    if (this.#mailboxes.awaited(run) === undefined) this.#known.set(run, known);
  }

  #forget(run: string): void {
    this.#known.delete(run);
    this.#unread.add(run);
  }

  /**
   * The deadlines of steps whose run is not in memory: a coordinator that is gone kept those of young commands in memory
   * only. They are stored here, if they are not.
   */
  async #deadlines(run: string, needs: readonly Need[]): Promise<Need[]> {
    const { log, serverClock } = this.#deps;
    const deadlines: Need[] = [];
    for (const need of needs) {
      if (need.kind !== "command") continue;
      const { slot, step } = need;
      const timer = slot + DEADLINE;
      let at = await deadlineOf(this.#deps, log.subjects.command(step, run, slot));
      if (at === undefined || !this.#wanted()) continue;
      const stored = await log.timerAt(run, timer);
      at = stored ?? Math.max(at, serverClock.now());
      if (stored === undefined) await log.setTimer(run, timer, at);
      deadlines.push({ kind: "timer", slot, timer, at });
    }
    return deadlines;
  }

  #parse(subject: string) {
    const parts = this.#deps.log.subjects.parse(subject);
    if (!parts)
      this.#deps.warn(
        "passed over a command in an audit",
        new MalformedMessageError(subject, "", "its subject is no command's"),
      );
    return parts;
  }

  async #each(runs: readonly string[], act: (run: string) => Promise<void>): Promise<void> {
    let next = 0;
    const work = async () => {
      while (next < runs.length && this.#wanted()) await act(runs[next++]!);
    };
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, runs.length) }, work));
  }
}

function isEnd(text: string): boolean {
  return /"Run(Completed|Failed|Cancelled|Terminated)"/.test(text) && readableEvents(text).some(isTerminal);
}

/** What one look has found stored, by run. */
class Stored {
  readonly runs = new Map<string, { all: MutableStored; alive: MutableStored; subjects: Map<number, string[]> }>();

  /** @param isStranded - No worker will get it. */
  add(parts: { kind: string; run: string; slot?: number } | undefined, subject: string, isStranded: boolean): void {
    if (parts?.slot === undefined) return;
    let its = this.runs.get(parts.run);
    if (!its) {
      its = { all: emptySets(), alive: emptySets(), subjects: new Map() };
      this.runs.set(parts.run, its);
    }
    if (parts.kind === "timer") {
      its.all.timers.add(parts.slot);
      its.alive.timers.add(parts.slot);
      return;
    }
    its.all.commands.add(parts.slot);
    if (!isStranded) its.alive.commands.add(parts.slot);
    its.subjects.set(parts.slot, [...(its.subjects.get(parts.slot) ?? []), subject]);
  }

  commandsOf(run: string, slot: number): readonly string[] {
    return this.runs.get(run)?.subjects.get(slot) ?? [];
  }
}

interface MutableStored {
  readonly commands: Set<number>;
  readonly timers: Set<number>;
}

function emptySets(): MutableStored {
  return { commands: new Set(), timers: new Set() };
}
