import type { Observed } from "@stepstream/telemetry";
import type { Deps } from "./deps.ts";

/**
 * What metrics ask for, whenever they are collected.
 *
 * Each partition's lag is told by the coordinator that has it, and what is of the whole namespace by the one that has
 * partition 0: so nothing is told twice, and the server is asked once.
 *
 * @param partitions - Those that this coordinator has.
 */
export async function observe({ log }: Pick<Deps, "log">, partitions: readonly number[]): Promise<Observed> {
  const { subjects } = log;
  const [inboxes, steps, parked, dead] = await Promise.all([
    partitions.length > 0 ? log.backlog("EVENTS") : undefined,
    ...(partitions.includes(0)
      ? ([
          log.backlog("COMMANDS"),
          log.list("EVENTS", `${subjects.namespace}.parked.>`),
          log.list("DEAD", `${subjects.namespace}.dead.>`),
        ] as const)
      : []),
  ]);
  const lag = new Map(partitions.map((n) => [n, inboxes?.get(`inbox-${n}`)?.waiting ?? 0]));
  if (!steps || !parked || !dead) return { lag };
  const queues = [...steps].map(([consumer, backlog]) => ({ step: consumer.replace(/^step-/, ""), ...backlog }));
  const deadLetters = [...dead.values()].reduce((sum, count) => sum + count, 0);
  return { lag, namespace: { parked: parked.size, deadLetters, queues } };
}
