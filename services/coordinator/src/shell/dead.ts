import { type DeadLetter, type StepstreamError, toFailure } from "@stepstream/contracts";
import type { Stored } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** Keeps a message that cannot be handled, with all that is needed to look into it. */
export async function bury(deps: Deps, stored: Stored, error: StepstreamError & { path?: string }): Promise<void> {
  const { log } = deps;
  const parts = log.subjects.parse(stored.subject);
  const letter: DeadLetter = {
    v: 1,
    type: "DeadLetter",
    code: error.code,
    message: error.message,
    ...(error.path ? { path: error.path } : {}),
    subject: stored.subject,
    seq: stored.seq,
    text: stored.text,
    error: toFailure(error),
  };
  const subject = log.subjects.dead(parts?.step ?? "-", parts?.run ?? "-", parts?.slot ?? 0);
  const append = () => log.append(subject, JSON.stringify(letter), { id: `dead.${stored.subject}.${stored.seq}` });
  await retrying(deps, `bury ${stored.subject}`, append, () => true);
  deps.emit({ type: "dead", subject: stored.subject, error });
}
