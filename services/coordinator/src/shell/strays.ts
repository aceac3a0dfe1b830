import { decodeInbox } from "@stepstream/contracts";
import type { Glimpse } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";
import { eachRun } from "./each-run.ts";
import { type Inboxes, lastOfInboxes } from "./inboxes.ts";
import type { LiveRuns, Mailboxes } from "./live-runs.ts";
import { place } from "./place.ts";
import { reportSwept } from "./swept.ts";

/** Chunks of large contents are looked at once in so many looks, by the coordinator that has partition 0. */
const CHUNKS_EVERY = 3;
/** Content is stored before the message that refers to it: what is younger than so many audits may still get its run. */
const YOUNG_AUDITS = 20;
/** Inboxes that are read in one look. */
const READS_PER_LOOK = 100;
/** Runs of which something is removed at a time. */
const AT_A_TIME = 8;

/**
 * Removes what deleted runs have left in EVENTS, and what came for them later: the result of a step that was still running, the end
 * of a child whose parent is gone, a decision of a coordinator that was cut off, the journal of a deletion that was interrupted; and
 * large contents that no message refers to any more; and timers that have fired and will never be taken. (Commands and other timers
 * are the auditor's.)
 *
 * S1. A run that has an inbox which begins with its start, or with something that cannot be read, keeps all it has.
 * S2. What is removed was there in two looks, and is removed up to what was seen then: a run that is started under the id
 *     meanwhile loses nothing.
 * S3. A timer that has fired is removed only where its consumer's ack floor has passed it.
 *
 * Checked elsewhere:
 *   S1 S2  ../../../../test/e2e/auditor.test.ts: is removed from histories
 *   S3  ../../../../test/e2e/auditor.test.ts: is removed where a timer has fired that will never be taken
 */
export class Strays {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #runs: LiveRuns;
  readonly #mailboxes: Mailboxes;
  readonly #wanted: () => boolean;
  #gone: ReadonlySet<string> = new Set();
  #withoutJournal: ReadonlySet<string> = new Set();
  #contents: ReadonlySet<string> = new Set();
  #looks = 0;

  constructor(deps: Deps, partition: number, runs: LiveRuns, mailboxes: Mailboxes, wanted: () => boolean) {
    this.#deps = deps;
    this.#partition = partition;
    this.#runs = runs;
    this.#mailboxes = mailboxes;
    this.#wanted = wanted;
  }

  /** @returns How many subjects it has listed: of attempts and parked records. */
  async look({ inboxes, journals }: Inboxes): Promise<number> {
    const listed = await this.#sweepGone(inboxes, journals);
    await this.#sweepInboxes(inboxes, journals);
    if (this.#partition === 0) await this.#sweepDue();
    if (this.#partition === 0 && ++this.#looks % CHUNKS_EVERY === 0) await this.#sweepContents();
    return listed;
  }

  /**
   * Timers that have fired and will never be taken: they lie below the ack floor of the consumer that takes them. A server that is
   * killed brings back some that were acknowledged. (A run that waits for one is the auditor's.)
   */
  async #sweepDue(): Promise<void> {
    const { log } = this.#deps;
    const due = await log.list("TIMERS", log.subjects.all.due());
    if (due.size === 0) return;
    const lasts = await log.lasts([...due.keys()]);
    const { ackFloor } = await log.progress("TIMERS", "due");
    const left = new Map<string, Glimpse[]>();
    for (const last of lasts.values()) {
      const run = log.subjects.parse(last.subject)?.run;
      if (run !== undefined && last.seq <= ackFloor) left.set(run, [...(left.get(run) ?? []), last]);
    }
    const sweep = async (run: string) => {
      let timer = 0;
      for (const { subject, seq } of left.get(run)!) timer += await log.remove(subject, { upTo: seq });
      reportSwept(this.#deps, run, { timer });
    };
    await eachRun(this.#deps, "remove a timer that will never be taken", left.keys(), AT_A_TIME, sweep, this.#wanted);
  }

  /** Runs of which there is something, but no inbox. */
  async #sweepGone(inboxes: ReadonlyMap<string, number>, journals: ReadonlyMap<string, number>): Promise<number> {
    const { log } = this.#deps;
    const { subjects } = log;
    const attempts = await log.list("EVENTS", subjects.all.attemptsOfPartition(this.#partition));
    const parked = await log.list("EVENTS", subjects.all.parked(this.#partition));
    const left = new Map<string, string[]>();
    for (const subject of [...journals.keys(), ...attempts.keys(), ...parked.keys()]) {
      const run = subjects.parse(subject)?.run;
      if (run === undefined || inboxes.has(run) || this.#mailboxes.awaited(run) !== undefined) continue;
      left.set(run, [...(left.get(run) ?? []), subject]);
    }
    const before = this.#gone;
    this.#gone = new Set(left.keys());
    await this.#each(left.keys(), before, async (run) => {
      const lasts = await Promise.all(left.get(run)!.map((subject) => log.last(subject, { fresh: true })));
      if (await log.last(subjects.inbox(run), { fresh: true })) return;
      let message = 0;
      for (const last of lasts) if (last) message += await log.remove(last.subject, { upTo: last.seq });
      reportSwept(this.#deps, run, { message });
    });
    return attempts.size + parked.size;
  }

  /** Inboxes that hold messages, and no start. */
  async #sweepInboxes(inboxes: ReadonlyMap<string, number>, journals: ReadonlyMap<string, number>): Promise<void> {
    const { log } = this.#deps;
    const { subjects } = log;
    const doubtful = new Set<string>();
    for (const run of inboxes.keys()) {
      if (journals.has(subjects.journal(run)) || this.#mailboxes.awaited(run) !== undefined) continue;
      const known = this.#runs.get(run);
      if (!known || known.over) doubtful.add(run);
    }
    const before = this.#withoutJournal;
    this.#withoutJournal = doubtful;
    await this.#each([...doubtful].slice(0, READS_PER_LOOK), before, async (run) => {
      const inbox = await log.read(subjects.inbox(run), { fresh: true });
      const last = inbox.at(-1);
      if (!last || !inbox.every(isStray)) return;
      reportSwept(this.#deps, run, { message: await log.remove(subjects.inbox(run), { upTo: last.seq }) });
    });
  }

  async #sweepContents(): Promise<void> {
    const { log, settings } = this.#deps;
    const { contents } = log;
    if (!contents) return;
    const runs = [...(await contents.runs())];
    const lasts = await lastOfInboxes(log, runs);
    const gone = runs.filter((run) => !lasts.has(run));
    const before = this.#contents;
    this.#contents = new Set(gone);
    const isGone = async (run: string) => !(await log.last(log.subjects.inbox(run), { fresh: true }));
    await this.#each(gone, before, async (run) => {
      if (!(await isGone(run))) return;
      const minAgeMs = YOUNG_AUDITS * settings.auditMs;
      const chunk = await contents.remove(run, { minAgeMs, isGone: () => isGone(run) });
      reportSwept(this.#deps, run, { chunk });
    });
  }

  /** Of those that were found in the last look as well. */
  #each(runs: Iterable<string>, before: ReadonlySet<string>, act: (run: string) => Promise<void>): Promise<void> {
    const both = [...runs].filter((run) => before.has(run));
    return eachRun(this.#deps, "remove what a deleted run has left", both, AT_A_TIME, act, this.#wanted);
  }
}

/** A message that no run begins with. One that cannot be read may be the start of one, by a newer version. */
function isStray(stored: { subject: string; seq: number; text: string }): boolean {
  try {
    return decodeInbox(stored.subject, stored.text, place(stored)).type !== "RunStarted";
  } catch {
    return false;
  }
}
