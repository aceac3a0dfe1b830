import { type RunParked, type RunStarted, StalledError, WrongLastSequenceError } from "@stepstream/contracts";
import { type Deps, keyOf } from "./deps.ts";
import { recordFor, recordOf } from "./parking.ts";
import { retrying } from "./retrying.ts";

/** A run whose code was stopped. */
export interface Stopped {
  readonly run: string;
  readonly started: RunStarted | undefined;
  /** The place in the code. */
  readonly where: string;
  readonly error: StalledError;
}

/** What a parked run says. */
export const ADVICE =
  "Nothing of that turn was stored. It is run once more, and once by each coordinator process that starts later: end the loop and deploy, move long work into a step, or terminate the run.";

/**
 * Writes down that a run's code was stopped, before anything else is taken up: any coordinator reads it before it runs
 * the code. The first time, the run is only marked, and tried again.
 *
 * @returns Whether it is parked: it was not the first time.
 */
export async function strike(deps: Deps, { run, started, where, error }: Stopped): Promise<boolean> {
  const { log, serverClock, loops } = deps;
  const subject = log.subjects.parked(run);
  const loop = `${started ? keyOf(started) : run} ${where}`;
  const write = async () => {
    const before = (await lastRecord(deps, run))?.stopped?.times ?? 0;
    // Another run of this workflow has proved already that it is no accident.
    const times = Math.max(before + 1, loops.has(loop) ? 2 : 1);
    const record = { ...recordFor(run, started, error), stopped: { times, at: serverClock.now() } };
    await log.append(subject, JSON.stringify(record));
    return times;
  };
  const times = await retrying(deps, "park a run", write, () => true, run);
  if (times === undefined || times < 2) return false;
  loops.add(loop);
  if (started) loops.add(keyOf(started));
  return true;
}

/** What is known of a run before its code is run. */
export interface Strikes {
  /** The stream sequence of its record of being parked; 0 if there is none. */
  readonly record: number;
  /** Why its code must not be run here. */
  readonly fault: StalledError | undefined;
}

/** A trial that has not ended by then never will: the one who made it is gone. */
const TRIAL_MS = 20_000;

/**
 * May the code of a run be run here? If it was stopped once, yes; if more often, only in a process that was started
 * later, whose code may be another. One coordinator at a time tries it: the record says so before it does. Of several
 * such runs of a workflow one is tried in each process; the others wait for the next process if that one fails.
 */
export async function mayRun(deps: Deps, run: string): Promise<Strikes> {
  const { log, serverClock, loops } = deps;
  const subject = log.subjects.parked(run);
  for (;;) {
    const last = await log.last(subject, { fresh: true });
    const record = last && recordOf(last.text);
    if (!last || !record?.stopped) return { record: last?.seq ?? 0, fault: undefined };
    const { times, at, trial } = record.stopped;
    const now = serverClock.now();
    const isNew = times < 2 || (at < now - performance.now() && !loops.has(keyOf(record)));
    if (trial?.by === deps.id) return { record: last.seq, fault: undefined };
    const isTried = trial !== undefined && now - trial.at < TRIAL_MS;
    if (!isNew || isTried) return { record: last.seq, fault: faultOf(run, record) };
    const tried = { ...record, stopped: { ...record.stopped, trial: { by: deps.id, at: now } } };
    try {
      const { seq } = await log.append(subject, JSON.stringify(tried), { expectLast: last.seq });
      return { record: seq, fault: undefined };
    } catch (error) {
      // Another coordinator was faster.
      if (!(error instanceof WrongLastSequenceError)) throw error;
    }
  }
}

/** Why nobody should run the code of a run only to look at it. */
export async function suspected(deps: Deps, run: string): Promise<StalledError | undefined> {
  const record = await lastRecord(deps, run);
  return record?.stopped && faultOf(run, record);
}

/** With the message of the record: it has the place. */
function faultOf(run: string, record: RunParked): StalledError {
  const fault = new StalledError(run, "");
  fault.message = record.error.message;
  return fault;
}

async function lastRecord({ log }: Deps, run: string): Promise<RunParked | undefined> {
  const last = await log.last(log.subjects.parked(run), { fresh: true });
  return last && recordOf(last.text);
}
