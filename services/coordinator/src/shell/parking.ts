import { type RunParked, type StepstreamError, toFailure } from "@stepstream/contracts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** Writes down that nobody at hand can take a run further, and why; once for each reason. */
export async function park(
  deps: Deps,
  run: string,
  started: { workflow: string; version: number } | undefined,
  fault: StepstreamError,
): Promise<void> {
  const { log } = deps;
  const subject = log.subjects.parked(run);
  const record: RunParked = {
    v: 1,
    type: "RunParked",
    run,
    workflow: started?.workflow ?? "",
    version: started?.version ?? 1,
    code: fault.code,
    error: toFailure(fault),
  };
  const write = async () => {
    const last = await log.last(subject);
    if (last && (JSON.parse(last.text) as RunParked).error.message === fault.message) return;
    await log.append(subject, JSON.stringify(record));
    deps.emit({ type: "parked", run, error: fault });
  };
  await retrying(
    deps,
    () => `park run ${run}`,
    write,
    () => true,
  );
}

/** The run goes on: its record goes. */
export async function unpark(deps: Deps, run: string): Promise<void> {
  const { log } = deps;
  const removed = await retrying(
    deps,
    () => `unpark run ${run}`,
    () => log.purge(log.subjects.parked(run)),
    () => true,
  );
  if (removed) deps.emit({ type: "unparked", run });
}
