import type { StepstreamError } from "@stepstream/contracts";
import { bury, type Stored } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** Keeps a message that cannot be handled, for as long as that takes. The caller acknowledges it then. */
export async function deadLetter(deps: Deps, stored: Stored, error: StepstreamError): Promise<void> {
  const { subject } = stored;
  await retrying(
    deps,
    "keep a dead letter",
    () => bury(deps.log, stored, error),
    () => true,
  );
  deps.emit({ type: "dead", subject, error });
}
