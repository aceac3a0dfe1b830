import { decode, Presence, type RollCall, WorkerPresence } from "@stepstream/contracts";
import type { EventLog } from "@stepstream/event-log";
import type { z } from "zod";

/** For the first answer: a little more than the second after which coordinators say it unasked. */
const PATIENCE_MS = 1_200;
/** For the others, once one has answered. */
const MORE_MS = 150;

/** Who is there, as far as they have answered. */
export interface Present {
  /** By the coordinator's id, the workflows that it runs, as `<name>@<version>`. */
  readonly coordinators: ReadonlyMap<string, readonly string[]>;
  /** By the worker's name, what it does. */
  readonly workers: ReadonlyMap<string, WorkerPresence["steps"]>;
}

/** Asks all coordinators and workers of the namespace who they are. Takes 150 ms, or 1.2 s if nobody is there. */
export async function rollCall(log: EventLog): Promise<Present> {
  const coordinators = new Map<string, readonly string[]>();
  const workers = new Map<string, WorkerPresence["steps"]>();
  const done = Promise.withResolvers<void>();
  let timer = setTimeout(done.resolve, PATIENCE_MS);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(done.resolve, MORE_MS);
  };
  const subscriptions = [
    log.listen(log.subjects.presence, (text) => {
      const said = readable(Presence, text);
      if (!said || said.leaving) return;
      const { id, workflows = [] } = said;
      coordinators.set(id, workflows);
      heard();
    }),
    log.listen(log.subjects.workers, (text) => {
      const said = readable(WorkerPresence, text);
      if (!said) return;
      const { worker, steps } = said;
      workers.set(worker, steps);
      heard();
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
