import { decode, Presence } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";

/** For the first answer: a little more than the second that coordinators of older versions take to say it unasked. */
const PATIENCE_MS = 1_200;
/** For the others, once one has answered. */
const MORE_MS = 100;

/**
 * Who is there: asks all coordinators of the namespace.
 *
 * @returns By the coordinator's id, the workflows that it runs, as `<name>@<version>`.
 */
export async function rollCall(log: EventLog): Promise<Map<string, string[]>> {
  const heard = new Map<string, string[]>();
  const done = Promise.withResolvers<void>();
  let timer = setTimeout(done.resolve, PATIENCE_MS);
  const subscription = log.listen(log.subjects.presence, (text) => {
    const { id, leaving, workflows = [] } = decode(Presence, text, "presence");
    if (leaving) return;
    heard.set(id, workflows);
    clearTimeout(timer);
    timer = setTimeout(done.resolve, MORE_MS);
  });
  const asking: Presence = { v: 1, type: "Presence", id: "cli", leaving: true, rollCall: true };
  log.broadcast(log.subjects.presence, JSON.stringify(asking));
  await done.promise;
  subscription.stop();
  return heard;
}
