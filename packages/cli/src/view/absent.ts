import { setTimeout as sleep } from "node:timers/promises";
import type { ChildState, Need } from "@stepstream/coordinator/audit";
import type { EventLog } from "@stepstream/event-log";
import { systemClock } from "@stepstream/event-log";
import type { HistoryEntry } from "@stepstream/sdk";
import { recordedOf } from "./recorded.ts";

/** A command that is being acknowledged, or published, is not there for a moment. */
const AGAIN_MS = 500;
/** Timers up to here may be kept in memory: the default of coordinators. */
const SHORT_TIMER_MS = 3_000;

/**
 * What a run waits for and that is not stored, or will never come: what the auditor of its coordinator looks for as well.
 *
 * @param read - Reads its history.
 */
export async function absentOf(
  log: EventLog,
  run: string,
  read: () => Promise<readonly HistoryEntry[]>,
  now: () => number,
  children: ReadonlyMap<string, ChildState>,
): Promise<readonly Need[]> {
  const { missing, needsOf, StrandedCommands } = await import("@stepstream/coordinator/audit");
  const { subjects } = log;
  const look = async (): Promise<Need[]> => {
    // First what is stored: what is done meanwhile is in the history then.
    const [commands, timers] = await Promise.all([
      log.list("COMMANDS", subjects.all.commandsOfRun(run)),
      log.list("TIMERS", subjects.all.timersOfRun(run)),
    ]);
    const stranded = await new StrandedCommands(log, systemClock).among(commands.keys());
    const slotsOf = (all: Iterable<string>) =>
      new Set([...all].flatMap((subject) => subjects.parse(subject)?.slot ?? []));
    const stored = {
      commands: slotsOf([...commands.keys()].filter((subject) => !stranded.has(subject))),
      timers: slotsOf(timers.keys()),
    };
    const { needs } = needsOf(recordedOf(await read()));
    return missing(needs, stored, { now: now(), shortTimerMs: SHORT_TIMER_MS }, children);
  };
  const first = await look();
  if (first.length === 0) return first;
  await sleep(AGAIN_MS);
  const second = await look();
  return second.filter(({ kind, slot }) => first.some((one) => one.kind === kind && one.slot === slot));
}
