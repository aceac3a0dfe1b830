import { DEADLINE, decode, MalformedMessageError, RunStep } from "@stepstream/contracts";
import type { Stored } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

/**
 * Commands that are out and whose deadline nobody has stored get a timer: a coordinator that is gone kept the
 * deadlines of young commands in memory only.
 *
 * @param commands - The subjects of all commands of the partition that are stored.
 * @param wanted - Is the partition still this coordinator's?
 * @param watched - Is the run in memory here, so that its deadlines are known?
 */
export async function rearmDeadlines(
  deps: Deps,
  partition: number,
  commands: ReadonlyMap<string, number>,
  wanted: () => boolean,
  watched: (run: string) => boolean,
): Promise<void> {
  const { log, serverClock, warn } = deps;
  const { all } = log.subjects;
  if (commands.size === 0) return;
  const timers = await log.list("TIMERS", all.timersOfPartition(partition));
  for (const subject of commands.keys()) {
    const { run, slot } = log.subjects.parse(subject) ?? {};
    if (!wanted()) return;
    // One that cannot be read keeps none of the others; a worker of its step dead-letters it.
    if (run === undefined || slot === undefined) {
      warn(PASSED_OVER, new MalformedMessageError(subject, "", "its subject is no command's"));
      continue;
    }
    if (watched(run) || timers.has(log.subjects.timer(run, slot + DEADLINE))) continue;
    const stored = await log.last(subject);
    const command = stored && readable(stored, warn);
    if (!command) continue;
    const { timeout, scheduledAt, attempt } = command;
    const queueMs = attempt === 1 ? timeout.queueMs : undefined;
    const inMs = Math.min(queueMs ?? Number.POSITIVE_INFINITY, timeout.totalMs ?? Number.POSITIVE_INFINITY);
    if (Number.isFinite(inMs))
      await log.setTimer(run, slot + DEADLINE, Math.max(scheduledAt + inMs, serverClock.now()));
  }
}

const PASSED_OVER = "passed over a command while re-arming deadlines";

function readable({ subject, text }: Stored, warn: Deps["warn"]): RunStep | undefined {
  try {
    return decode(RunStep, text, subject);
  } catch (error) {
    warn(PASSED_OVER, error);
    return undefined;
  }
}
