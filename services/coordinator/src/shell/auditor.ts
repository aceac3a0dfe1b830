import { type ChildState, describeNeed, leftover, missing, NOTHING, type StoredOfRun } from "../audit/compare.ts";
import { type Need, needsOf } from "../audit/needs.ts";
import type { Deps } from "./deps.ts";
import { eachRun } from "./each-run.ts";
import { reportEnd } from "./ended.ts";
import { type History, startOf } from "./history.ts";
import { lastOfInboxes } from "./inboxes.ts";
import { type Awaited, historyOf, isEnd, type LiveRuns, type Mailboxes } from "./live-runs.ts";
import { listStored, Parsed, type Stored } from "./stored.ts";
import { reportSwept } from "./swept.ts";

/** What was found of a run in one look. */
interface Found {
  readonly absent: readonly Need[];
  readonly rest: StoredOfRun;
}

/** Of a run: what was absent, or left over, in the last look. */
interface Suspect {
  readonly what: string;
  /** For how many more looks a message that is on its way may explain it. */
  patience: number;
}

/** Runs that are looked at freshly, or loaded, at a time. */
const AT_A_TIME = 16;
/** Children that are looked at in one look, the others in the next ones. */
const CHILDREN_PER_LOOK = 128;
/** For so many looks a message that is on its way may be why something is absent. Then it is taken for passed over. */
const PATIENCE = 6;
/** Between two looks that have to agree. What is on its way between processes arrives within it. */
const CONFIRM_MS = 2_000;
/** A look costs as much as there is to compare, so it comes the less often: at least this, and so much for each item. */
const EVERY_MS = 5_000;
const EVERY_MS_PER_ITEM = 24;

/**
 * The auditor of one partition. Every live run has a durable cause (guarantee 6); causes are messages, and messages can go missing:
 * by a purge, a deletion by hand, a server that lost its disk, a crash that brings back what was removed. So all of them are
 * compared, again and again, with what the runs wait for:
 *
 *   what is stored         one listing of the commands and one of the timers: stored.ts
 *   what runs wait for     of those in memory their slots; of the others live-runs.ts
 *   what is to be done     pure: ../audit
 *   repair                 the run is loaded as after a takeover: the ordinary fences keep that from doing anything twice
 *   sweep                  what no slot has use for is removed
 *   when                   at intervals that grow with what is to be compared; at once where tally.ts counts too little
 *
 * N1. A repair needs two looks with the same result, and a fresh read. So does a removal. Where a stream is known to be lost, one
 *     look and a fresh read are enough for a repair.
 * N2. Where nothing is absent, a look costs a fixed number of requests, however many runs there are.
 * N3. What is repaired or removed is counted and reported.
 *
 * Checked elsewhere:
 *   N1  ../../../../test/simulation/auditor.test.ts: waits for a second look before it repairs anything
 *   N2  ../../../../test/simulation/auditor.test.ts: costs a fixed number of requests where nothing is absent
 *   N3  ../../../../test/e2e/auditor.test.ts: one by one: only those are published again
 */
export class Auditor {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #runs: LiveRuns;
  readonly #mailboxes: Mailboxes;
  readonly #wanted: () => boolean;
  #suspects = new Map<string, Suspect>();
  readonly #parsed = new Parsed();
  /** Losses of streams: how many were reported, and how many of them the last look took into account. */
  readonly #losses = { reported: 0, seen: 0 };
  /** Where the next look at children begins. */
  #child = 0;
  /** Those that the last look has found to be over, or not started. */
  readonly #suspectedChildren = new Set<string>();

  /** @param wanted - Is the partition still this coordinator's? */
  constructor(deps: Deps, partition: number, runs: LiveRuns, mailboxes: Mailboxes, wanted: () => boolean) {
    this.#deps = deps;
    this.#partition = partition;
    this.#runs = runs;
    this.#mailboxes = mailboxes;
    this.#wanted = wanted;
  }

  /** A stream was lost with all commands or timers: the next look takes what is absent for lost. */
  expectLoss(): void {
    this.#losses.reported++;
  }

  /** @returns In how many milliseconds to look again. */
  async look(): Promise<number> {
    const losses = this.#losses.reported;
    const isLossKnown = losses > this.#losses.seen;
    const stored = await listStored(this.#deps, this.#partition, this.#parsed);
    this.#losses.seen = losses;
    const runs = this.#awaited(stored);
    const children = await this.#children(runs);
    if (!this.#wanted()) return EVERY_MS;

    const before = this.#suspects;
    this.#suspects = new Map();
    const confirmed = new Map<string, Found>();
    for (const [run, awaited] of runs) {
      const found = this.#compare(run, awaited, stored, children, isLossKnown);
      if (!found) continue;
      const what = JSON.stringify([found.absent, [...found.rest.commands.keys()], [...found.rest.timers.keys()]]);
      const known = before.get(run);
      const suspect = known?.what === what ? known : { what, patience: PATIENCE };
      this.#suspects.set(run, suspect);
      if (known === suspect) confirmed.set(run, found);
      else if (isLossKnown && found.absent.length > 0) confirmed.set(run, { ...found, rest: NOTHING });
    }
    const isToConfirm = this.#suspects.size > confirmed.size;
    const settle = (run: string) => this.#settle(run, confirmed.get(run)!, stored);
    await eachRun(this.#deps, "repair or sweep a run", confirmed.keys(), AT_A_TIME, settle, this.#wanted);
    const { auditMs, ackWaitMs } = this.#deps.settings;
    if (isToConfirm) return Math.min(CONFIRM_MS, auditMs);
    if (this.#runs.isBehind) return Math.min(ackWaitMs, auditMs);
    return Math.min(auditMs, Math.max(EVERY_MS, EVERY_MS_PER_ITEM * (stored.size + runs.size)));
  }

  // ---------------------------------------------------------------- comparing

  /** What all runs wait for, as far as they are known. Those of which only something stored is known are to be read. */
  #awaited(stored: Stored): Map<string, Awaited> {
    const runs = new Map<string, Awaited>();
    for (const [run, known] of this.#runs.entries()) {
      if (!known.over || stored.has(run)) runs.set(run, known);
      else this.#runs.ended(run);
    }
    for (const run of this.#mailboxes.runs()) {
      const awaited = this.#mailboxes.awaited(run);
      if (awaited === "busy") runs.delete(run);
      else if (awaited) runs.set(run, awaited);
    }
    for (const run of stored.runs)
      if (!runs.has(run) && this.#mailboxes.awaited(run) === undefined) this.#runs.found(run);
    return runs;
  }

  /** @returns undefined if nothing is absent or left over. */
  #compare(
    run: string,
    awaited: Awaited,
    stored: Stored,
    children: ReadonlyMap<string, ChildState>,
    isLossKnown: boolean,
  ): Found | undefined {
    const { serverClock, settings } = this.#deps;
    const isCold = this.#runs.get(run) === awaited;
    // After a loss a timer that was stored cannot be told from one that is kept in memory: loading the run arms both.
    const shortTimerMs = isLossKnown ? Number.NEGATIVE_INFINITY : settings.shortTimerMs;
    const when = { now: serverClock.now(), shortTimerMs, isCold };
    const absent = missing(awaited.needs, stored.alive(run), when, children);
    const rest = leftover(awaited.needs, stored.listed(run));
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
      lastOfInboxes(log, chosen),
      log.lasts(chosen.map((run) => log.subjects.journal(run))),
    ]);
    this.#suspectedChildren.clear();
    for (const run of chosen) {
      let journal = journals.get(log.subjects.journal(run));
      if (journal?.isReference) journal = await log.last(journal.subject);
      const isOver = journal !== undefined && isEnd(journal.text);
      const state = !inboxes.has(run) ? "unstarted" : isOver ? "over" : "running";
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
    const folded = (inMemory === "busy" ? undefined : (inMemory ?? this.#runs.get(run)))?.folded;
    if (folded === undefined) return;
    if ((last?.seq ?? 0) > folded && suspect.patience-- > 0) {
      // Something has come since: it will be handled, and may be the reason.
      if (!inMemory) this.#runs.changed(run);
      return;
    }
    const history = await historyOf(this.#deps, run, true);
    if (!history) return;
    const isGone = startOf(history) === undefined;
    if (isGone && last && !(await this.#isStray(history, run))) return;
    const { over, needs } = isGone ? { over: true, needs: [] } : needsOf(history);
    if (!this.#wanted()) return;
    if (!over && (await this.#repair(run, absent, needs, suspect))) return;
    await this.#sweep(run, leftover(needs, rest), stored);
    if (over && !inMemory) this.#runs.ended(run);
  }

  /** Messages that a deleted run has left, or that came for it later: none of them starts a run, and all can be read. */
  async #isStray({ inbox }: History, run: string): Promise<boolean> {
    const { log } = this.#deps;
    const oldest = await log.oldest("EVENTS", log.subjects.inbox(run));
    return oldest === undefined || oldest.seq === inbox[0]?.seq;
  }

  /** @param fresh - What it waits for as the log has it now. @returns Whether something was absent. */
  async #repair(run: string, absent: readonly Need[], fresh: readonly Need[], suspect: Suspect): Promise<boolean> {
    const { emit, telemetry } = this.#deps;
    const open = new Set(fresh.map(({ slot }) => slot));
    const gone: Need[] = [];
    for (const need of absent)
      if (open.has(need.slot) && !(await this.#isOnItsWay(run, need, suspect))) gone.push(need);
    if (gone.length === 0) return false;
    for (const need of gone) if (need.kind === "child") await reportEnd(this.#deps, need.run, this.#wanted);
    if (!(await this.#mailboxes.load(run)) || !this.#wanted()) return true;
    // What is absent again later is another loss, and takes two looks again.
    this.#suspects.delete(run);
    for (const need of gone) telemetry.repaired?.(need.kind);
    emit({ type: "repaired", run, missing: gone.map(describeNeed) });
    return true;
  }

  /** The timer has fired, and what it fired is still to be taken. */
  async #isOnItsWay(run: string, need: Need, suspect: Suspect): Promise<boolean> {
    if (need.kind !== "timer" || suspect.patience <= 0) return false;
    const { log } = this.#deps;
    const due = await log.last(log.subjects.due(run, need.timer), { fresh: true });
    if (due) suspect.patience--;
    return due !== undefined;
  }

  async #sweep(run: string, rest: StoredOfRun, stored: Stored): Promise<void> {
    const { log } = this.#deps;
    let command = 0;
    for (const slot of rest.commands.keys()) {
      const subject = stored.commandOf(run, slot);
      if (subject !== undefined) command += await log.remove(subject);
    }
    for (const timer of rest.timers.keys()) await log.cancelTimer(run, timer);
    reportSwept(this.#deps, run, { command, timer: rest.timers.size });
  }
}
