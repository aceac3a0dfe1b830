import {
  ChildEnded,
  decode,
  decodeInbox,
  type Outcome,
  type Retention,
  RunNotFoundError,
  type RunStarted,
  RunStillGoingError,
} from "@stepstream/contracts";
import { type Stored, sleep } from "@stepstream/event-log";
import { deleteRun, endOf, readHistory, upToOf } from "@stepstream/sdk/ended-run";
import type { Deps } from "./deps.ts";
import { type End, Ends } from "./ends.ts";
import { Poll } from "./poll.ts";

/** Messages that are read at a time, and runs whose start is looked up at a time. */
const PAGE = 1_000;
const LOOK_UPS = 32;
/** Runs that are removed at a time. */
const REMOVALS = 8;
/** After so many seconds of removing, the policy is read again. */
const ROUND_S = 5;
/** A removal that does not get an answer is left for later. */
const PATIENCE_MS = 10_000;
/** Where others have deleted runs, all ends are read again: in every so many looks. */
const LOOKS_BETWEEN_SCANS = 10;

/**
 * Removes ended runs, as the namespace's retention says. Done by the coordinator that has partition 0, in the background.
 *
 * It reads the journals in the order of the stream once, remembers the ends, and continues from there; so a look at a quiet
 * namespace costs one request.
 *
 * N1. Only what is over is removed, and only by a rule. Before each removal it is looked at again.
 * N2. A child stays until its parent has its end.
 * N3. Where the retention asks for an archive, a run is removed only after its history was kept there.
 * N4. By count nothing is removed while runs may have been deleted that this does not know of: then all is read again first.
 * N5. It removes at most `removalsPerSecond`, and reads for at most half of the time.
 *
 * Checked elsewhere:
 *   N1  retention.test.ts: are removed whole, in whatever way they ended; others stay (N1)
 *   N2  retention.test.ts: stays until its parent has its end (N2)
 *   N3  retention.test.ts: a run is removed once its history is there (N3)
 *   N4  retention.test.ts: none is removed while others have deleted runs, until all is read again (N4)
 *   N5  retention.test.ts: are removed at most so many in a second (N5)
 */
export class RetentionKeeper {
  readonly #deps: Deps;
  readonly #poll: Poll;
  #policy = "";
  #ends: Ends | undefined;
  /** Where the journals are read on. */
  #nextSeq = 1;
  /** Messages that were removed from the stream, as far as this knows of it. */
  #removed = 0;
  #looksSinceScan = 0;
  /** Those that could not be removed yet. */
  #later: End[] = [];
  #stopped = false;
  #looking: Promise<number | void> | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    const look = () => {
      this.#looking = this.#look();
      return this.#looking;
    };
    this.#poll = new Poll(deps.clock, look, (error) => deps.warn("remove ended runs", error));
  }

  start(): void {
    if (this.#deps.log.namespace) this.#poll.now();
  }

  /** Resolves when what is being removed has been. */
  async stop(): Promise<void> {
    this.abandon();
    await this.#looking?.catch(() => {});
  }

  abandon(): void {
    this.#stopped = true;
    this.#poll.stop();
  }

  /** @returns When to look again. */
  async #look(): Promise<number> {
    const { log, settings, archive, warn } = this.#deps;
    const { retention, removed } = await log.namespace!();
    const policy = JSON.stringify(retention) ?? "";
    if (policy !== this.#policy) this.#forget(policy);
    if (!retention || this.#stopped) return settings.retentionMs;
    if (retention.archive && !archive) {
      const error = new Error(
        "The namespace's retention asks for an archive, and this coordinator has none. Nothing is removed; start it with --archive <folder>",
      );
      warn("remove ended runs", error);
      return settings.retentionMs;
    }
    if (removed !== this.#removed && hasCounts(retention) && ++this.#looksSinceScan >= LOOKS_BETWEEN_SCANS)
      this.#forget(policy);
    if (!this.#ends) {
      this.#ends = new Ends(retention);
      this.#removed = removed;
      this.#looksSinceScan = 0;
    }
    await this.#scan(this.#ends);
    const again = await this.#removeDue(this.#ends, retention, removed === this.#removed);
    return again ? 0 : settings.retentionMs;
  }

  #forget(policy: string): void {
    this.#policy = policy;
    this.#ends = undefined;
    this.#nextSeq = 1;
    this.#later = [];
  }

  // ---------------------------------------------------------------- which there are

  async #scan(ends: Ends): Promise<void> {
    const { log, clock } = this.#deps;
    while (!this.#stopped) {
      const since = clock.now();
      const page = await log.scan("EVENTS", log.subjects.all.journals(), this.#nextSeq, PAGE);
      if (page.length === 0) return;
      const ended = page.filter((stored) => endOf(stored));
      const starts = await concurrently(LOOK_UPS, ended, ({ subject }) => this.#startOf(subject));
      for (const [index, stored] of ended.entries()) {
        const start = starts[index];
        if (start) ends.add(start.workflow, outcomeOf(stored)!, { seq: stored.seq, at: stored.at });
      }
      this.#nextSeq = page.at(-1)!.seq + 1;
      if (page.length === PAGE) await sleep(clock, Math.max(1, clock.now() - since));
    }
  }

  /** How the run of a subject was started. undefined: that cannot be read, or is gone. */
  async #startOf(subject: string): Promise<RunStarted | undefined> {
    const { log } = this.#deps;
    const run = log.subjects.parse(subject)?.run;
    if (run === undefined) return undefined;
    const [first] = await log.scan("EVENTS", log.subjects.inboxFrom("client", run), 1, 1);
    if (!first) return undefined;
    try {
      const message = decodeInbox(first.subject, first.text);
      return message.type === "RunStarted" ? message : undefined;
    } catch {
      return undefined;
    }
  }

  // ---------------------------------------------------------------- what goes

  /** @returns Whether more is due already. */
  async #removeDue(ends: Ends, retention: Retention, byCount: boolean): Promise<boolean> {
    const { clock, serverClock, settings, emit, warn } = this.#deps;
    const limit = Math.max(1, settings.removalsPerSecond * ROUND_S);
    const due = [...this.#later.splice(0), ...ends.take(serverClock.now(), byCount, limit)];
    const acked = new Map<number, number>();
    let runs = 0;
    let failed = 0;
    for (let at = 0; at < due.length && !this.#stopped; at += REMOVALS) {
      const some = due.slice(at, at + REMOVALS);
      // What is wrong with one, a log that does not answer or a full disk, is wrong with all.
      if (failed > 0) {
        this.#later.push(...due.slice(at));
        break;
      }
      const since = clock.now();
      await Promise.all(
        some.map(async (end) => {
          try {
            const outcome = await this.#remove(end, retention, acked);
            if (outcome === "removed") runs++;
            else if (outcome === "later") this.#later.push(end);
          } catch (error) {
            failed++;
            this.#later.push(end);
            warn("remove an ended run", error);
          }
        }),
      );
      const paceMs = (some.length / Math.max(1, settings.removalsPerSecond)) * 1_000;
      const leftMs = paceMs - (clock.now() - since);
      if (leftMs > 0) await sleep(clock, leftMs);
    }
    if (runs > 0) emit({ type: "removed", runs, archived: retention.archive });
    return due.length >= limit && failed === 0;
  }

  async #remove(end: End, retention: Retention, acked: Map<number, number>): Promise<"removed" | "later" | "gone"> {
    const { log, clock, archive } = this.#deps;
    const { subjects } = log;
    const [stored] = await log.scan("EVENTS", subjects.all.journals(), end.seq, 1);
    const run = stored?.seq === end.seq ? subjects.parse(stored.subject)?.run : undefined;
    if (!stored || run === undefined) return "gone";
    const started = await this.#startOf(stored.subject);
    if (!started) return "gone";
    if (started.parent && !(await this.#hasEnd(run, started.parent.run, upToOf(stored), acked))) return "later";
    if (retention.archive) {
      const history = await readHistory(log, run);
      const startedAt = new Date(history[0]?.at ?? end.at).toISOString();
      const endedAt = new Date(end.at).toISOString();
      const { namespace } = subjects;
      const workflow = `${started.workflow}@${started.version}`;
      await archive!({ run, namespace, workflow, outcome: outcomeOf(stored)!, startedAt, endedAt, history });
    }
    try {
      const { messages } = await deleteRun({ log, clock }, run, { patienceMs: PATIENCE_MS, end: end.seq });
      this.#removed += messages;
      return "removed";
    } catch (error) {
      // Another has deleted it, and may have started it again.
      if (error instanceof RunNotFoundError || error instanceof RunStillGoingError) return "gone";
      throw error;
    }
  }

  /** Whether a parent has the end of its child, or needs it no more (N2). */
  async #hasEnd(run: string, parent: string, upTo: number, acked: Map<number, number>): Promise<boolean> {
    const { log } = this.#deps;
    const { subjects } = log;
    const partition = subjects.partition(run);
    let floor = acked.get(partition);
    if (floor === undefined) {
      floor = (await log.progress("EVENTS", `inbox-${partition}`)).ackFloor;
      acked.set(partition, floor);
    }
    // What led to the end is acknowledged when all that the end causes is done.
    if (floor >= upTo) return true;
    const [inbox, last] = await Promise.all([
      log.read(subjects.inbox(parent), { fresh: true }),
      log.last(subjects.journal(parent), { fresh: true }),
    ]);
    return inbox.length === 0 || (last && endOf(last)) !== undefined || inbox.some((one) => isEndOf(run, one));
  }
}

function isEndOf(child: string, { subject, seq, text }: Stored): boolean {
  if (!text.includes('"ChildEnded"')) return false;
  try {
    return decode(ChildEnded, text, `${subject} #${seq}`).child === child;
  } catch {
    return false;
  }
}

const OUTCOMES = {
  RunCompleted: "completed",
  RunFailed: "failed",
  RunCancelled: "cancelled",
  RunTerminated: "terminated",
} as const;

function outcomeOf(stored: Stored): Outcome | undefined {
  const end = endOf(stored);
  return end && OUTCOMES[end.type];
}

function hasCounts({ rules }: Retention): boolean {
  return rules.some(({ count }) => count !== undefined);
}

/** Maps with so many under way at a time, in order. */
async function concurrently<T, R>(limit: number, items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const work = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await map(items[index]!);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  return results;
}
