/**
 * Holds what a schedule has started against its times and its overlap policy. Worked out from the history and the runs it
 * started, without the code of schedules.
 *
 * S1. Each run is of the action's workflow, with the action's input, stopped as the policy says; its id is made of its time.
 * S2. Times are multiples of the interval after the schedule's start, each once, in order. Nothing starts before its time.
 * S3. As many start by themselves as the limit says, if the schedule was left to its end; never more.
 * S4. "skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other": one at a time. With "skip" no time that came
 *     while a run was on is started after it. "buffer-all" and "allow-all" leave no time out.
 * S5. What it says of itself at its end is what happened: the runs, their outcomes, and the times that were left out.
 */
import type { SimulatedRun, SimulatedWorld } from "@stepstream/testing";
import { spellValue } from "./values.ts";

interface Input {
  readonly id: string;
  readonly times: { every: number; limit: number; overlap: string; jitter: number };
  readonly action: { workflow: string; version: number; input: unknown; idPrefix: string };
}

interface Output {
  readonly counts: { started: number; skipped: number; missed: number };
  readonly recent: readonly { run: string; at: number; cause: string; outcome: string }[];
}

/** A run that it asked for. */
interface Asked {
  readonly run: string;
  /** The time in its id; undefined if it was triggered by hand. */
  readonly at: number | undefined;
  /** When it was asked for, by the time of the history. */
  readonly askedAt: number;
  /** The messages that led to it, and that told of its end. */
  readonly from: number;
  readonly until: number;
  readonly endedAt: number;
}

const CLOSED: Readonly<Record<string, string>> = { "cancel-other": "cancel", "terminate-other": "terminate" };

export function checkSchedule(run: SimulatedRun, world: SimulatedWorld, stopped: boolean): string[] {
  const { id, times, action } = run.input as Input;
  const faults: string[] = [];
  const fault = (what: string) => void faults.push(`schedule ${id} (${times.overlap}): ${what}`);
  const inbox = run.history.flatMap((entry) => (entry.kind === "inbox" ? [entry] : []));
  const ends = new Map<string, { seq: number; at: number }>();
  for (const { message, seq, at } of inbox)
    if (message.type === "ChildEnded" && !ends.has(message.child)) ends.set(message.child, { seq, at });
  const beganAt = inbox.find(({ message }) => message.type === "RunStarted")!.at;

  const asked: Asked[] = [];
  for (const entry of run.history) {
    if (entry.kind !== "journal") continue;
    const cause = inbox.find(({ seq }) => seq === entry.message.upTo)!;
    for (const event of entry.message.events) {
      if (event.type !== "ChildScheduled") continue;
      const what = spellValue([event.workflow, event.version, event.input, event.onParentClose]);
      const should = spellValue([action.workflow, action.version, action.input, CLOSED[times.overlap] ?? "abandon"]);
      if (what !== should) fault(`it has started ${event.run} as ${what}, and should as ${should}`);
      const end = ends.get(event.run);
      asked.push({
        run: event.run,
        at: timeIn(event.run, action.idPrefix),
        askedAt: cause.at,
        from: cause.seq,
        until: end?.seq ?? Number.POSITIVE_INFINITY,
        endedAt: end?.at ?? Number.POSITIVE_INFINITY,
      });
    }
  }

  const timed = asked.filter((one): one is Asked & { at: number } => one.at !== undefined);
  for (const [i, { run: child, at, askedAt }] of timed.entries()) {
    if (at % times.every !== 0 || at <= beganAt) fault(`${child} is of no time of it`);
    if (askedAt < at) fault(`${child} was started ${at - askedAt} ms early`);
    if (i > 0 && at <= timed[i - 1]!.at) fault(`${child} comes after a later time`);
  }
  const completed = run.end?.type === "RunCompleted";
  if (timed.length > times.limit || (completed && !stopped && timed.length < times.limit))
    fault(`it has started ${timed.length} runs by itself, and may start ${times.limit}`);

  if (times.overlap !== "allow-all")
    for (const [i, one] of asked.slice(1).entries())
      if (asked[i]!.until > one.from) fault(`${one.run} was started while ${asked[i]!.run} was on`);
  if (times.overlap === "skip")
    for (const one of timed) {
      const before = asked[asked.indexOf(one) - 1];
      // Jitter may have put its start off until after the end.
      if (before && one.at + times.jitter <= before.endedAt)
        fault(`${one.run} is of a time that came while ${before.run} was on`);
    }
  if (completed)
    faults.push(...said(run, world, asked, timed, beganAt).map((what) => `schedule ${id} (${times.overlap}): ${what}`));
  return faults;
}

/** S5 */
function said(
  run: SimulatedRun,
  world: SimulatedWorld,
  asked: readonly Asked[],
  timed: readonly (Asked & { at: number })[],
  beganAt: number,
): string[] {
  const { times } = run.input as Input;
  const { counts, recent } = (run.end as unknown as { output: Output }).output;
  const faults: string[] = [];
  const told = recent.map(({ run }) => run).toReversed();
  if (spellValue(told) !== spellValue(asked.map(({ run }) => run))) faults.push(`it says that it has started ${told}`);
  if (counts.started !== asked.length) faults.push(`it counts ${counts.started} starts, and has ${asked.length}`);
  for (const one of recent) {
    const end = world.end(one.run)?.type.slice("Run".length).toLowerCase();
    // It has not waited for the end of these; and what is stopped in the turn of its start is never started.
    const unstarted = end === undefined && (one.outcome === "cancelled" || one.outcome === "terminated");
    if (one.outcome !== "unknown" && one.outcome !== end && !unstarted)
      faults.push(`it says that ${one.run} is ${one.outcome}, and it is ${end}`);
  }
  const last = timed.at(-1);
  if (!last) return faults;
  const came = Math.floor(last.at / times.every) - Math.floor(beganAt / times.every);
  const accounted = timed.length + counts.skipped + counts.missed;
  if (accounted < came) faults.push(`${came} times came, and ${accounted} were started, skipped or missed`);
  const leavesOut = !["buffer-all", "allow-all"].includes(times.overlap);
  if (!leavesOut && counts.missed === 0 && timed.length < came)
    faults.push(`${came} times came, and ${timed.length} were started`);
  return faults;
}

/** The id is `<prefix>-20260101T000015Z`, with milliseconds before the Z if there are any; `<prefix>-t-…` by hand. */
function timeIn(run: string, prefix: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})?Z$/.exec(run.slice(prefix.length + 1));
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, ms = "0"] = match;
  return Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
    Number(ms),
  );
}
