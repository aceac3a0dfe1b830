import type { Appended } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** Appends a message to a run's inbox, for as long as it takes. */
export function tell(deps: Deps, run: string, text: string, id: string): Promise<Appended> {
  const { log } = deps;
  return retrying(
    deps,
    "report an outcome",
    () => log.append(log.subjects.inboxFrom("worker", run), text, { id }),
    run,
  );
}
