import { DEADLINE, decode, RunStep } from "@stepstream/contracts";
import type { Deps } from "./deps.ts";

/**
 * Commands that are out and whose deadline nobody has stored get a timer: a coordinator that is gone kept the
 * deadlines of young commands in memory only.
 *
 * @param wanted - Is the partition still this coordinator's?
 * @param watched - Is the run in memory here, so that its deadlines are known?
 */
export async function rearmDeadlines(
  deps: Deps,
  partition: number,
  wanted: () => boolean,
  watched: (run: string) => boolean,
): Promise<void> {
  const { log, serverClock } = deps;
  const { all } = log.subjects;
  const commands = await log.list("COMMANDS", all.commandsOfPartition(partition));
  if (commands.size === 0) return;
  const timers = await log.list("TIMERS", all.timersOfPartition(partition));
  for (const subject of commands.keys()) {
    const { run, slot } = log.subjects.parse(subject)!;
    if (!wanted()) return;
    if (watched(run) || timers.has(log.subjects.timer(run, slot! + DEADLINE))) continue;
    const stored = await log.last(subject);
    if (!stored) continue;
    const { timeout, scheduledAt, attempt } = decode(RunStep, stored.text, subject);
    const queueMs = attempt === 1 ? timeout.queueMs : undefined;
    const inMs = Math.min(queueMs ?? Number.POSITIVE_INFINITY, timeout.totalMs ?? Number.POSITIVE_INFINITY);
    if (Number.isFinite(inMs))
      await log.setTimer(run, slot! + DEADLINE, Math.max(scheduledAt + inMs, serverClock.now()));
  }
}
