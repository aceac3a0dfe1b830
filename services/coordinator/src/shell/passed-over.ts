import type { Deps } from "./deps.ts";
import { eachRun } from "./each-run.ts";
import { type Inboxes, lastOfInboxes } from "./inboxes.ts";
import type { LiveRuns, Mailboxes } from "./live-runs.ts";

/** What loading a run costs, compared with reading one of a chunk: see LiveRuns. */
const COST = 256;
/** Of sequences. More are kept only where the ack floor stands still: then counting begins again. */
const DELIVERED_MAX = 100_000;

/**
 * Looks for messages of inboxes that were passed over: they lie below the ack floor of the partition's consumer, so that they will
 * never be delivered again, and their run has not handled them. A purge of EVENTS with a subject makes such messages.
 *
 * P1. A run is loaded if its inbox has changed without its being in memory here, or if it has no decision, and its last message
 *     lies below the ack floor. To load a run reads its inbox, and handles what it finds. Of runs in memory that is looked for
 *     where there is reason (P2).
 * P2. To find out whether there is reason for such a look costs three short answers, however many runs there are: has the ack floor
 *     passed more messages than were delivered here? One that another coordinator got is reason enough.
 *
 * Checked elsewhere:
 *   P1  ../../../../test/e2e/auditor.test.ts: are handled: a signal to a run that waits, and a start
 *   P2  ../../../../test/simulation/auditor.test.ts: costs a fixed number of requests where nothing is absent
 */
export class PassedOver {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #runs: LiveRuns;
  readonly #mailboxes: Mailboxes;
  readonly #wanted: () => boolean;
  /** Up to this ack floor what was delivered has been counted. undefined: not yet. */
  #counted: number | undefined;
  /** What was delivered above it. */
  readonly #delivered = new Set<number>();
  /** There is reason to look at the inboxes of runs in memory as well. */
  #isSuspicious = false;

  constructor(deps: Deps, partition: number, runs: LiveRuns, mailboxes: Mailboxes, wanted: () => boolean) {
    this.#deps = deps;
    this.#partition = partition;
    this.#runs = runs;
    this.#mailboxes = mailboxes;
    this.#wanted = wanted;
  }

  /** A message of the partition's inboxes was delivered here. */
  delivered(seq: number): void {
    if (this.#delivered.size >= DELIVERED_MAX) {
      this.#delivered.clear();
      this.#counted = undefined;
    }
    this.#delivered.add(seq);
  }

  /** @returns Whether there is reason for a look. */
  async check(): Promise<boolean> {
    const { log } = this.#deps;
    const from = this.#counted;
    const ackFloor = await this.#ackFloor();
    // The first time; or the consumer was made again.
    if (from === undefined || ackFloor < from) {
      this.#counted = ackFloor;
      return false;
    }
    if (ackFloor === from) return false;
    const inboxes = log.subjects.all.inbox(this.#partition);
    const above = await log.count("EVENTS", inboxes, ackFloor + 1);
    const passed = (await log.count("EVENTS", inboxes, from + 1)) - above;
    let delivered = 0;
    for (const seq of this.#delivered) {
      if (seq > ackFloor) continue;
      this.#delivered.delete(seq);
      if (seq > from) delivered++;
    }
    this.#counted = ackFloor;
    this.#isSuspicious ||= passed > delivered;
    return this.#isSuspicious;
  }

  async #ackFloor(): Promise<number> {
    return (await this.#deps.log.progress("EVENTS", `inbox-${this.#partition}`)).ackFloor;
  }

  async look({ inboxes, journals }: Inboxes): Promise<void> {
    const { log } = this.#deps;
    const { subjects } = log;
    const isSuspicious = this.#isSuspicious;
    this.#isSuspicious = false;
    const ackFloor = await this.#ackFloor();
    const doubtful: string[] = [];
    for (const [run, messages] of inboxes) {
      const inMemory = this.#mailboxes.awaited(run);
      if (inMemory !== undefined) {
        if (isSuspicious && inMemory !== "busy") doubtful.push(run);
        continue;
      }
      const known = this.#runs.get(run);
      if (known ? known.messages !== messages : !journals.has(subjects.journal(run))) doubtful.push(run);
    }
    if (doubtful.length === 0) return;
    const lasts = await lastOfInboxes(log, doubtful);
    const passedOver = doubtful.filter((run) => {
      const last = lasts.get(run)?.seq ?? 0;
      const inMemory = this.#mailboxes.awaited(run);
      if (inMemory === "busy") return false;
      const known = this.#runs.get(run);
      const isHandled = last <= (inMemory?.folded ?? known?.handled ?? 0);
      // Else it may still be delivered, or passed over.
      if (known && isHandled) known.messages = inboxes.get(run)!;
      return !isHandled && last <= ackFloor;
    });
    await eachRun(this.#deps, "read an inbox", passedOver, 1, (run) => this.#load(run), this.#wanted);
  }

  async #load(run: string): Promise<void> {
    const { log, pace, emit, telemetry } = this.#deps;
    await pace.turn(COST);
    const journalSeq = async () => (await log.last(log.subjects.journal(run), { fresh: true }))?.seq ?? 0;
    const before = await journalSeq();
    await this.#mailboxes.load(run);
    // Else its messages were handled before, and decided nothing.
    if ((await journalSeq()) === before || !this.#wanted()) return;
    telemetry.repaired?.("message");
    emit({ type: "repaired", run, missing: ["messages of its inbox, which were passed over"] });
  }
}
