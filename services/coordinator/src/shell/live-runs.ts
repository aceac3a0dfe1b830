import {
  DEADLINE,
  decode,
  decodeInbox,
  isTerminal,
  LogRefusedError,
  LogUnavailableError,
  RunStep,
  readableEvents,
} from "@stepstream/contracts";
import type { Glimpse, Stored } from "@stepstream/event-log";
import { type Need, needsOf, type Recorded } from "../audit/needs.ts";
import { readDecision } from "./decisions.ts";
import type { Deps } from "./deps.ts";
import { eachRun } from "./each-run.ts";
import { type Reading, readHistory, startOf } from "./history.ts";
import { type Inboxes, lastOfInboxes, listInboxes } from "./inboxes.ts";
import { place } from "./place.ts";
import { triedAgain } from "./retrying.ts";

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

/** A run that is not in memory. */
export interface Known extends Awaited {
  /** Of one that is over, only what is left of it is of interest. */
  readonly over?: true;
  /** Up to this message its inbox was handled for certain: `folded`, if it was in memory here. */
  readonly handled: number;
  /** How many messages its inbox had when that was last looked at. */
  messages?: number;
}

/** Subjects of one request for their last messages. */
const CHUNK = 128;
/** Bytes that cost as much as a message. */
const BYTES = 16_384;
/** Runs that are read at a time. */
const AT_A_TIME = 8;
/** What reading a run costs, compared with one of a chunk. */
const COST = 16;

/**
 * The live runs of a partition that are not in memory, and what each waits for.
 *
 * Of a run that was in memory here it is known from its eviction. Those that another coordinator had are read, in the background
 * and at a bounded rate: the last messages of many journals and inboxes at a time, which is all there is of most runs that wait;
 * the others one by one.
 *
 * V1. A run is read once; again only if something of its inbox has not been taken into account.
 * V2. A run that is over is not kept, unless something is stored of it, which is to be removed.
 * V3. Answers that are lost cost a few seconds, not all that was read before them.
 *
 * Checked elsewhere:
 *   V1  ../../../../test/simulation/auditor.test.ts: knows the runs that another coordinator had, and reads each once
 *   V2  ../../../../test/simulation/auditor.test.ts: costs a fixed number of requests where nothing is absent
 *   V3  ../../../../test/simulation/auditor.test.ts: knows what it has taken over soon, though every twentieth request is lost
 */
export class LiveRuns {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #mailboxes: Mailboxes;
  readonly #wanted: () => boolean;
  readonly #known = new Map<string, Known>();
  /** Runs of which it is not known whether they are over, and what they wait for. */
  readonly #unread = new Set<string>();
  /** The same, of runs whose last decision, or start, was too large for a message: one of them at a time. */
  readonly #large = new Set<string>();
  /** Runs with a command whose deadline is not known. */
  readonly #undated = new Set<string>();
  /** What the partition had when it was taken, and the journals of it that are still to be read. */
  #listing: (Inboxes & { readonly left: string[] }) | undefined;
  /** The journals of the last listing. undefined: what the partition had when it was taken is still to be listed. */
  #journals: ReadonlyMap<string, number> | undefined;
  /** Runs that have ended here since then. */
  #ended = new Set<string>();

  /** @param wanted - Is the partition still this coordinator's? */
  constructor(deps: Deps, partition: number, mailboxes: Mailboxes, wanted: () => boolean) {
    this.#deps = deps;
    this.#partition = partition;
    this.#mailboxes = mailboxes;
    this.#wanted = wanted;
  }

  get(run: string): Known | undefined {
    return this.#known.get(run);
  }

  entries(): Iterable<[string, Known]> {
    return this.#known;
  }

  /** Not all of them are known yet. */
  get isBehind(): boolean {
    return !this.#journals || this.#unread.size > 0;
  }

  /** The run leaves the memory. */
  evicted(run: string): void {
    const awaited = this.#mailboxes.awaited(run);
    if (awaited !== undefined && awaited !== "busy") this.#known.set(run, { ...awaited, handled: awaited.folded });
    else if (!this.#known.has(run)) this.#unread.add(run);
  }

  /** The run is over, or deleted. */
  ended(run: string): void {
    if (this.#journals) this.#ended.add(run);
    this.#known.delete(run);
    this.#unread.delete(run);
    this.#large.delete(run);
    this.#undated.delete(run);
  }

  /** Something is stored of the run, and nothing is known of it. */
  found(run: string): void {
    // Else it is probably one of those that are being listed.
    if (this.#journals) this.#unread.add(run);
  }

  /**
   * Another coordinator may have begun runs of the partition while this one had it: each may have taken the other for gone. Of
   * those nothing is known here, and nothing need be stored.
   *
   * @param journals - A new listing.
   */
  listed(journals: ReadonlyMap<string, number>): void {
    if (!this.#journals) return;
    const { subjects } = this.#deps.log;
    for (const subject of journals.keys()) {
      const run = this.#journals.has(subject) ? undefined : subjects.parse(subject)?.run;
      if (run === undefined || this.#known.has(run) || this.#ended.has(run)) continue;
      if (this.#mailboxes.awaited(run) === undefined) this.#unread.add(run);
    }
    this.#journals = journals;
    this.#ended.clear();
  }

  /** What is known of the run is old. */
  changed(run: string): void {
    this.#known.delete(run);
    this.#unread.add(run);
  }

  /** Reads those that are to be read. @returns In how many milliseconds to do it again. */
  async read(): Promise<number> {
    if (!this.#journals) await this.#list();
    const read = async (run: string) => {
      await this.#deps.pace.turn(COST);
      if (!this.#unread.delete(run) || this.#mailboxes.awaited(run) !== undefined) return;
      await this.#read(run).catch((error) => {
        if (error instanceof LogUnavailableError) this.#unread.add(run);
        throw error;
      });
    };
    await eachRun(this.#deps, "read what a run waits for", this.#unread, AT_A_TIME, read, this.#wanted);
    await this.#addDeadlines();
    for (const run of this.#large) {
      this.#large.delete(run);
      this.#unread.add(run);
      break;
    }
    return 1_000;
  }

  async #read(run: string): Promise<void> {
    const history = await triedAgain(this.#deps, () => historyOf(this.#deps, run));
    if (!history) return;
    const folded = history.inbox.at(-1)?.seq ?? 0;
    const { over, needs } = startOf(history) ? needsOf(history) : { over: true, needs: [] };
    if (over) return this.#know(run, { needs: [], folded, handled: folded, over: true });
    this.#know(run, { needs, folded, handled: history.upTo });
    this.#undated.add(run);
  }

  #know(run: string, known: Known): void {
    if (this.#wanted() && this.#mailboxes.awaited(run) === undefined) this.#known.set(run, known);
  }

  // ---------------------------------------------------------------- runs that another coordinator had

  async #list(): Promise<void> {
    const { log, pace } = this.#deps;
    const { subjects } = log;
    if (!this.#listing) {
      const listed = await triedAgain(this.#deps, () => listInboxes(this.#deps, this.#partition));
      this.#listing = { ...listed, left: [...listed.journals.keys()] };
    }
    const { journals, inboxes, left } = this.#listing;
    while (left.length > 0 && this.#wanted()) {
      await pace.turn(CHUNK);
      /** By run: its whole journal. */
      const short = new Map<string, Stored>();
      const lasts = await triedAgain(this.#deps, () => log.lasts(left.slice(0, CHUNK)));
      await this.#payFor(lasts.values());
      for (const [subject, last] of lasts) {
        const run = subjects.parse(subject)?.run;
        if (run === undefined || this.#known.has(run) || this.#mailboxes.awaited(run) !== undefined) continue;
        if (last.isReference) this.#large.add(run);
        if (last.isReference || isEnd(last.text)) continue;
        if (journals.get(subject) === 1 && inboxes.get(run) === 1) short.set(run, last);
        else this.#unread.add(run);
      }
      await this.#readShort(short);
      left.splice(0, CHUNK);
    }
    this.#listing = undefined;
    this.#journals = journals;
  }

  async #payFor(messages: Iterable<Stored>): Promise<void> {
    let length = 0;
    for (const { text } of messages) length += text.length;
    await this.#deps.pace.turn(length / BYTES);
  }

  /** Runs with one message in their inbox, and one in their journal. */
  async #readShort(journals: ReadonlyMap<string, Stored>): Promise<void> {
    if (journals.size === 0) return;
    const { log } = this.#deps;
    await this.#deps.pace.turn(journals.size);
    const inboxes = await triedAgain(this.#deps, () => lastOfInboxes(log, [...journals.keys()]));
    await this.#payFor(inboxes.values());
    for (const [run, journal] of journals) {
      const inbox = inboxes.get(run);
      const short = shortHistory(inbox, journal);
      const seq = inbox?.seq ?? 0;
      if (!short) (inbox?.isReference ? this.#large : this.#unread).add(run);
      else {
        this.#know(run, { needs: needsOf(short).needs, folded: seq, handled: seq, messages: 1 });
        this.#undated.add(run);
      }
    }
  }

  /**
   * The deadlines of steps, which the commands have. A coordinator that is gone kept those of young commands in memory only: they
   * are stored here, if they are not.
   */
  async #addDeadlines(): Promise<void> {
    const { log, pace } = this.#deps;
    while (this.#undated.size > 0 && this.#wanted()) {
      const runs = [...this.#undated].slice(0, CHUNK);
      const commands = runs.flatMap((run) => {
        const needs = this.#known.get(run)?.needs ?? [];
        return needs.flatMap((need) =>
          need.kind === "command" ? [log.subjects.command(need.step, run, need.slot)] : [],
        );
      });
      if (commands.length > 0) {
        await pace.turn(commands.length);
        const lasts = await triedAgain(this.#deps, () => log.lasts(commands));
        const add = (subject: string) => triedAgain(this.#deps, () => this.#addDeadline(lasts.get(subject)!));
        await eachRun(this.#deps, "read the deadline of a step", lasts.keys(), AT_A_TIME, add, this.#wanted);
      }
      for (const run of runs) this.#undated.delete(run);
    }
  }

  async #addDeadline({ subject, isReference, text }: Glimpse): Promise<void> {
    const { log, serverClock } = this.#deps;
    const { run, slot } = log.subjects.parse(subject)!;
    const command = isReference ? await log.last(subject) : { text };
    const at = command && this.#deadlineIn(command.text, subject);
    if (at === undefined || slot === undefined) return;
    const timer = slot + DEADLINE;
    const stored = await log.timerAt(run, timer);
    const fireAt = stored ?? Math.max(at, serverClock.now());
    if (!this.#wanted()) return;
    if (stored === undefined) await log.setTimer(run, timer, fireAt);
    const known = this.#known.get(run);
    if (known) this.#know(run, { ...known, needs: [...known.needs, { kind: "timer", slot, timer, at: fireAt }] });
  }

  /** @returns In epoch milliseconds; undefined for none. A command that cannot be read has none: a worker dead-letters it. */
  #deadlineIn(text: string, subject: string): number | undefined {
    try {
      const { timeout, scheduledAt, attempt } = decode(RunStep, text, subject);
      const queueMs = attempt === 1 ? timeout.queueMs : undefined;
      const inMs = Math.min(queueMs ?? Number.POSITIVE_INFINITY, timeout.totalMs ?? Number.POSITIVE_INFINITY);
      return Number.isFinite(inMs) ? scheduledAt + inMs : undefined;
    } catch (error) {
      this.#deps.warn("passed over a command in an audit", error);
      return undefined;
    }
  }
}

/** @returns undefined if it cannot be read: then the run is parked, or will be. */
export async function historyOf(deps: Reading, run: string, fresh = false) {
  try {
    return await readHistory(deps, run, 0, fresh);
  } catch (error) {
    if (error instanceof LogUnavailableError || error instanceof LogRefusedError) throw error;
    return undefined;
  }
}

/** Does this message of a journal end its run? */
export function isEnd(text: string): boolean {
  return /"Run(Completed|Failed|Cancelled|Terminated)"/.test(text) && readableEvents(text).some(isTerminal);
}

/** @returns undefined if there is more to it than these two messages. */
function shortHistory(inbox: Stored | undefined, journal: Stored): Recorded | undefined {
  if (!inbox) return undefined;
  try {
    const decision = readDecision(journal);
    const message = decodeInbox(inbox.subject, inbox.text, place(inbox));
    if (!decision || decision.segment || decision.upTo !== inbox.seq || message.type !== "RunStarted") return undefined;
    return { events: decision.events, inbox: [{ ...inbox, message }] };
  } catch {
    return undefined;
  }
}
