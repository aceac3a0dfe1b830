import { decode, Presence, type RollCall, WorkerPresence } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import type { z } from "zod";

/** For the first answer: a little more than the second after which coordinators say it unasked. */
const PATIENCE_MS = 1_200;
/** For the others, once one has answered. */
const MORE_MS = 300;

/** A coordinator that has answered. */
export interface SeenCoordinator {
  /** The workflows that it runs, as `<name>@<version>`. */
  readonly workflows: readonly string[];
  /** Of each of them, what tells its code from other code (see Presence). */
  readonly code: Readonly<Record<string, string>>;
  readonly release: string | undefined;
  /** How far its clock is ahead of ours, in ms, less the time that the answer took. */
  readonly aheadMs: number | undefined;
  /** What nats-server has not permitted to it in the last minute: `publish <permission>`, `subscribe <permission>`. */
  readonly denied: readonly string[];
}

/** A worker that has answered. */
export interface SeenWorker {
  readonly steps: WorkerPresence["steps"];
  readonly release: string | undefined;
  readonly aheadMs: number | undefined;
  readonly denied: readonly string[];
}

/** The processes of a namespace that have answered, by their names. */
export interface Present {
  readonly coordinators: ReadonlyMap<string, SeenCoordinator>;
  readonly workers: ReadonlyMap<string, SeenWorker>;
}

/**
 * Asks all coordinators and workers of the namespace who they are. Takes 300 ms, or 1.2 s if there are none.
 *
 * @param moreMs - How long to wait for another answer: longer where it matters that a process is missing.
 */
export async function rollCall(
  log: Pick<EventLog, "subjects" | "listen" | "broadcast">,
  moreMs = MORE_MS,
): Promise<Present> {
  const coordinators = new Map<string, SeenCoordinator>();
  const workers = new Map<string, SeenWorker>();
  const done = Promise.withResolvers<void>();
  let timer = setTimeout(done.resolve, PATIENCE_MS);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(done.resolve, moreMs);
  };
  const aheadOf = (at: number | undefined) => (at === undefined ? undefined : at - Date.now());
  const subscriptions = [
    log.listen(log.subjects.presence, (text) => {
      const said = readable(Presence, text);
      if (!said || said.leaving) return;
      const { id, workflows = [], code, release, at, denied = [] } = said;
      // What is said unasked, once a second, has no code.
      // Those who have answered say it again each second: that is no reason to wait for more.
      if (!coordinators.has(id)) heard();
      coordinators.set(id, {
        workflows,
        code: code ?? coordinators.get(id)?.code ?? {},
        release,
        aheadMs: aheadOf(at),
        denied,
      });
    }),
    log.listen(log.subjects.workers, (text) => {
      const said = readable(WorkerPresence, text);
      if (!said) return;
      const { worker, steps, release, at, denied = [] } = said;
      if (!workers.has(worker)) heard();
      workers.set(worker, { steps, release, aheadMs: aheadOf(at), denied });
    }),
  ];
  log.broadcast(log.subjects.rollCall, JSON.stringify({ v: 1, type: "RollCall" } satisfies RollCall));
  await done.promise;
  for (const subscription of subscriptions) subscription.stop();
  return { coordinators, workers };
}

/** What cannot be read, or is of another version, is no answer. */
function readable<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return decode(schema, text, "an answer to the roll call");
  } catch {
    return undefined;
  }
}
