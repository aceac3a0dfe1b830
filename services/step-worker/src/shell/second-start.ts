import { decodeInbox, type InboxMessage } from "@stepstream/contracts";
import type { Clock } from "@stepstream/event-log";
import { explained } from "../attempt/standing.ts";
import { idsOf, type Job } from "./job.ts";
import { tell } from "./tell.ts";

/**
 * A handler that was started twice for one slot, and crashed neither time: what it does may have been done twice.
 *
 * G1. Whichever of the two learns of the other last makes it visible: with a message in the run's history, an event (which is
 *     a log line), and a metric.
 * G2. It learns of it by the fence of the slot's records, by an outcome that it finds before it reports its own, or by an outcome
 *     that took its message id. It looks for one where another worker may have had the command, and where the server would
 *     have forgotten the id.
 *
 * Checked elsewhere:
 *   G1  ../../test/second-start.test.ts: is a message in the history, an event and a metric
 *   G2  ../../test/second-start.test.ts: is found by
 */

/** Marks each start of a handler of one worker. By its clock's chance: the same in each replay of a simulation. */
export function createMarks(clock: Clock): () => string {
  const own = Math.floor(clock.random() * 2 ** 48).toString(36);
  let starts = 0;
  return () => `${own}.${(++starts).toString(36)}`;
}

/** Half of the time for which the server knows a message's id. */
const LONG_MS = 60_000;

/** May another worker have started the handler too, without a word to this one? */
export function isDoubtful({ deps, held, command, at, start }: Job): boolean {
  if (held.isSuspect()) return true;
  if (start && deps.clock.now() - start.at > LONG_MS) return true;
  const { deliveries } = held.delivery;
  return deliveries > 1 && !explained(command, deliveries, at.last);
}

/** Is this an outcome that a handler came to? The engine's own, and those without a start, are not. */
export function isOfStart(message: InboxMessage): boolean {
  if (message.type === "StepCompleted" || message.type === "RetryLater") return true;
  return (message.type === "StepFailed" || message.type === "StepCancelled") && message.start !== undefined;
}

/** The message that took the id of this job's outcome. */
export async function onDisplaced(job: Job, text: string): Promise<void> {
  const subject = job.deps.log.subjects.inboxFrom("worker", job.where.run);
  let first: InboxMessage;
  try {
    first = decodeInbox(subject, text);
  } catch {
    return; // No worker's.
  }
  if (isOfStart(first)) await startedTwice(job);
}

/** Makes it visible (G1), if this job's handler was started. */
export async function startedTwice(job: Job): Promise<void> {
  const { deps, command, where, start } = job;
  if (!start) return;
  const { run, slot, step, attempt } = where;
  const message: InboxMessage = {
    ...{ v: 1, type: "StepStartedTwice", slot, step, attempt },
    ...{ worker: deps.name.slice(0, 200), after: command.after, start: start.mark },
  };
  deps.emit({ type: "started-twice", ...where, trace: idsOf(job) });
  deps.telemetry.startedTwice?.(step);
  await tell(deps, run, JSON.stringify(message), `${run}.${slot}.${command.after}.${start.mark}.twice`);
}
