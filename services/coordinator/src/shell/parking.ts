import { decode, RunParked, type RunStarted, type StepstreamError, toFailure } from "@stepstream/contracts";
import { idsOfTrace } from "@stepstream/telemetry";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/**
 * Writes down that nobody at hand can take a run further, and why; once for each reason, and once more for messages
 * that come after that: whoever takes the run up may have read it before them.
 *
 * @param after - The record must be newer than this message of the inbox; 0 if there is none.
 * @returns Whether the reason is a new one.
 */
export async function park(
  deps: Deps,
  run: string,
  started: RunStarted | undefined,
  fault: StepstreamError,
  after: number,
): Promise<boolean> {
  const { log } = deps;
  const subject = log.subjects.parked(run);
  const record = recordFor(run, started, fault);
  const write = async () => {
    const last = await log.last(subject, { fresh: true });
    const before = last && recordOf(last.text);
    const known = last !== undefined && before?.error.message === fault.message;
    if (known && last.seq > after) return false;
    const stopped = known && before?.stopped;
    await log.append(subject, JSON.stringify(stopped ? { ...record, stopped } : record));
    if (known) return false;
    const trace = started && idsOfTrace(deps.telemetry.traceOf(started, run));
    deps.emit({ type: "parked", run, error: fault, trace });
    return true;
  };
  const isNew = await retrying(deps, "park a run", write, () => true, run);
  return isNew ?? false;
}

/** What is written down of a run that is parked. */
export function recordFor(run: string, started: RunStarted | undefined, fault: StepstreamError): RunParked {
  return {
    v: 1,
    type: "RunParked",
    run,
    workflow: started?.workflow ?? "",
    version: started?.version ?? 1,
    code: fault.code,
    error: toFailure(fault),
  };
}

/** Of a record that cannot be read nothing is known, and a new one takes its place. */
export function recordOf(text: string): RunParked | undefined {
  try {
    return decode(RunParked, text, "a parked record");
  } catch {
    return undefined;
  }
}

/** The newest record of a run that is parked: look before the run is read. 0 if there is none. */
export async function parkedAt(deps: Deps, run: string): Promise<number> {
  const { log } = deps;
  return (await log.last(log.subjects.parked(run), { fresh: true }))?.seq ?? 0;
}

/** The run goes on: its record goes. @param upTo - What was known before the run was read; newer ones stay. */
export async function unpark(deps: Deps, run: string, upTo: number): Promise<void> {
  if (upTo === 0) return;
  const { log } = deps;
  const removed = await retrying(
    deps,
    "unpark a run",
    () => log.remove(log.subjects.parked(run), { upTo }),
    () => true,
    run,
  );
  if (removed) deps.emit({ type: "unparked", run });
}
