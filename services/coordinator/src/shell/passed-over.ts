import type { Deps } from "./deps.ts";
import { eachRun } from "./each-run.ts";
import { type Inboxes, lastOfInboxes } from "./inboxes.ts";
import type { LiveRuns, Mailboxes } from "./live-runs.ts";

/** What loading a run costs, compared with reading one of a chunk: see LiveRuns. */
const COST = 256;

/**
 * Looks for messages of inboxes that were passed over: they lie below the ack floor of the partition's consumer, so that they will
 * never be delivered again, and their run has not handled them. A purge of EVENTS with a subject makes such messages.
 *
 * P1. A run is loaded if its inbox has changed without its being in memory here, or if it has no decision, and its last message
 *     lies below the ack floor. To load a run reads its inbox, and handles what it finds.
 *
 * Checked elsewhere:
 *   P1  ../../../../test/e2e/auditor.test.ts: are handled: a signal to a run that waits, and a start
 */
export class PassedOver {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #runs: LiveRuns;
  readonly #mailboxes: Mailboxes;
  readonly #wanted: () => boolean;

  constructor(deps: Deps, partition: number, runs: LiveRuns, mailboxes: Mailboxes, wanted: () => boolean) {
    this.#deps = deps;
    this.#partition = partition;
    this.#runs = runs;
    this.#mailboxes = mailboxes;
    this.#wanted = wanted;
  }

  async look({ inboxes, journals }: Inboxes): Promise<void> {
    const { log } = this.#deps;
    const { subjects } = log;
    const { ackFloor } = await log.progress("EVENTS", `inbox-${this.#partition}`);
    const doubtful: string[] = [];
    for (const [run, messages] of inboxes) {
      if (this.#mailboxes.awaited(run) !== undefined) continue;
      const known = this.#runs.get(run);
      if (known ? known.messages !== messages : !journals.has(subjects.journal(run))) doubtful.push(run);
      if (known) known.messages = messages;
    }
    if (doubtful.length === 0) return;
    const lasts = await lastOfInboxes(log, doubtful);
    const passedOver = doubtful.filter((run) => {
      const last = lasts.get(run)?.seq ?? 0;
      return last > (this.#runs.get(run)?.handled ?? 0) && last <= ackFloor;
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
