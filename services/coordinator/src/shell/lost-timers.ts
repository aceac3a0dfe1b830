import { isTerminal, readableEvents } from "@stepstream/contracts";
import type { Deps } from "./deps.ts";

/** Runs that are read at a time. */
const AT_A_TIME = 32;

/**
 * Stored timers that are gone are set again. Of a run that only waits nothing else reminds: it would wait for ever.
 *
 * M1. Every run of the partition that is not over is read, and arms what it waits for, as after a takeover.
 * M2. That is done once for each loss, and again where it was interrupted (see TimerMarks).
 *
 * Checked elsewhere:
 *   M1  test/e2e/lost-timers.test.ts: while no coordinator is up, are set again by the next one
 *   M2  test/e2e/lost-timers.test.ts: once more, are set again once more
 */

/** @returns The runs that may have lost timers; undefined if none are lost. */
export async function runsWithLostTimers({ log }: Deps, partition: number): Promise<string[] | undefined> {
  const { timerMarks, subjects } = log;
  if (!timerMarks || (await timerMarks.intact(partition))) return undefined;
  await timerMarks.begin(partition);
  const inboxes = await log.list("EVENTS", subjects.all.inbox(partition));
  return [...inboxes.keys()].flatMap((subject) => subjects.parse(subject)?.run ?? []);
}

/**
 * @param load - Reads a run and arms its slots.
 * @param wanted - Is the partition still this coordinator's?
 */
export async function restoreTimers(
  { log, emit }: Deps,
  partition: number,
  runs: readonly string[],
  load: (run: string) => Promise<void>,
  wanted: () => boolean,
): Promise<void> {
  let restored = 0;
  const restore = async (run: string) => {
    // Without a journal it has decided nothing: the message that starts it is not acknowledged yet.
    const last = await log.last(log.subjects.journal(run));
    if (!last || readableEvents(last.text).some(isTerminal) || !wanted()) return;
    restored++;
    await load(run);
  };
  for (let at = 0; at < runs.length; at += AT_A_TIME) {
    await Promise.all(runs.slice(at, at + AT_A_TIME).map(restore));
    if (!wanted()) return;
  }
  await log.timerMarks?.end(partition);
  if (restored > 0) emit({ type: "timersRestored", partition, runs: restored });
}
