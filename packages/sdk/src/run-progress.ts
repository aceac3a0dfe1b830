import type { Progress } from "@stepstream/contracts";
import type { Clock, EventLog, Stored } from "@stepstream/event-log";
import { endOf, eventsOf, upToOf } from "./run-status.ts";
import { watchJournal } from "./watch-journal.ts";

/**
 * How far a run is: what it said last, then whatever it says, until it ends.
 *
 * Never goes back in the journal. Of what was said before the call, or while the log was away, only the last
 * is told. Who takes them slowly gets them all the same.
 *
 * @param source.isOwn - Of a decision that was read: is it of this run, and not of one that had the id before?
 * @param source.since - No decision about an inbox message before this stream sequence is of this run. Default: not known.
 */
export async function* followProgress(source: {
  log: EventLog;
  clock: Clock;
  run: string;
  signal: AbortSignal;
  /** @throws The run is gone. */
  mustExist: () => Promise<void>;
  isOwn: (stored: Stored) => Promise<boolean>;
  since: number | undefined;
}): AsyncGenerator<Progress, void, void> {
  const { log, run, mustExist, isOwn, since = 0 } = source;
  const queue: Progress[] = [];
  let wake = Promise.withResolvers<void>();
  let seen = 0;
  const stop = new AbortController();
  const see = (stored: Stored) => {
    if (upToOf(stored) < since) return false;
    const said = stored.seq > seen ? progressIn(stored) : [];
    if (said.length > 0) {
      seen = stored.seq;
      queue.push(...said);
      wake.resolve();
    }
    return endOf(stored) !== undefined;
  };
  const reread = async () => {
    const news = await log.read(log.subjects.journal(run), { fromSeq: seen + 1 });
    if (!news.some((stored) => endOf(stored) !== undefined)) await mustExist();
    const last = news.findLast((stored) => progressIn(stored).length > 0);
    const end = news.at(-1);
    // What comes before the end of an earlier run is of that run as well.
    if (end && !(await isOwn(end))) return [];
    // The last that said how far it is, and the last of all, which may be the end.
    return [...(last ? [last] : []), ...(end ? [end] : [])];
  };
  let failure: unknown;
  let over = false;
  const end = (error?: unknown) => {
    over = true;
    failure = error;
    wake.resolve();
  };
  void watchJournal({ ...source, see, reread, signal: AbortSignal.any([source.signal, stop.signal]) }).then(
    () => end(),
    (error) => end(error),
  );
  try {
    while (true) {
      for (let next = queue.shift(); next; next = queue.shift()) yield next;
      if (over) break;
      await wake.promise;
      wake = Promise.withResolvers();
    }
    if (failure !== undefined) throw failure;
  } finally {
    stop.abort();
  }
}

function progressIn(stored: Stored): Progress[] {
  if (!stored.text.includes('"ProgressReported"')) return [];
  const said = eventsOf(stored).filter((event) => event.type === "ProgressReported");
  return said.map(({ step, total, name, percent }) => ({ step, total, name, percent }));
}
