import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumerInfo } from "@nats-io/jetstream";
import { check, counted, error, type Finding, ok } from "../check.ts";

/** Between two looks: what was not taken in between is not being taken. */
const AGAIN_MS = 1_000;

/** A consumer that must be there while its process is up. */
interface Wished {
  stream: string;
  name: string;
  filter: string;
  /** For people: "partition 3", "step charge". */
  about: string;
  /** Processes that take from it are up, and at least one of them has a free place. */
  taken: boolean;
}

interface Facts {
  /** Without the streams whose consumers could not be read. */
  wished: readonly Wished[];
  first: ReadonlyMap<string, ConsumerInfo>;
  second: ReadonlyMap<string, ConsumerInfo>;
}

/** Whether each process finds the consumer it takes messages from, and takes them. */
export const consumers = check<Facts>({
  name: "consumers",

  async look({ jsm, subjects, namespace, present, streams, consumers }) {
    const { coordinators, workers } = await present();
    const wished: Wished[] = [];
    if (coordinators.size > 0) {
      for (let partition = 0; partition < subjects.partitions; partition++)
        wished.push({
          ...{
            stream: subjects.streamName("EVENTS"),
            name: `inbox-${partition}`,
            filter: subjects.all.inbox(partition),
          },
          ...{ about: `partition ${partition}`, taken: true },
        });
      const stream = subjects.streamName("TIMERS");
      wished.push({ stream, name: "due", filter: subjects.all.due(), about: "timers", taken: true });
    }
    const steps = new Map<string, { free: number }>();
    for (const { steps: its } of workers.values())
      for (const { step, concurrency, running, breaker } of its) {
        const free = breaker === "open" ? 0 : concurrency - running;
        steps.set(step, { free: (steps.get(step)?.free ?? 0) + free });
      }
    for (const [step, { free }] of steps)
      wished.push({
        ...{ stream: subjects.streamName("COMMANDS"), name: subjects.stepConsumer(step) },
        ...{ filter: subjects.all.commandsOfStep(step), about: `step ${step}`, taken: free > 0 },
      });
    const there = new Set((await streams()).flatMap(({ wished, found }) => (found ? [wished.name] : [])));
    const kinds = (["EVENTS", "COMMANDS", "TIMERS"] as const).filter((kind) => there.has(`${namespace}_${kind}`));
    const first = named((await Promise.all(kinds.map(consumers))).flat());
    await sleep(AGAIN_MS);
    // Only what was waiting is worth a second look.
    const waiting = [...first.values()].filter(({ num_pending }) => num_pending > 0);
    const again = await Promise.all(
      waiting.map(({ stream_name, name }) => jsm.consumers.info(stream_name, name).catch(() => undefined)),
    );
    return {
      wished: wished.filter(({ stream }) => there.has(stream)),
      first,
      second: named(again.flatMap((info) => info ?? [])),
    };
  },

  judge({ wished, first, second }) {
    const findings = wished.flatMap((one) => {
      const key = `${one.stream} ${one.name}`;
      return ofConsumer(one, first.get(key), second.get(key));
    });
    if (findings.length > 0) return findings;
    return [ok("consumers", wished.length > 0 ? `all ${wished.length} that are needed are there` : "none is needed")];
  },
});

function named(infos: readonly ConsumerInfo[]): Map<string, ConsumerInfo> {
  return new Map(infos.map((info) => [`${info.stream_name} ${info.name}`, info]));
}

function ofConsumer(wished: Wished, first: ConsumerInfo | undefined, second: ConsumerInfo | undefined): Finding[] {
  const about = `consumer ${wished.name}`;
  const remove = `nats consumer rm ${wished.stream} ${wished.name}`;
  if (!first)
    return [
      error(
        about,
        `it does not exist, although a process for ${wished.about} is up`,
        `That process creates it again within seconds. If it does not: read its log, raise max_consumers, then restart it.`,
      ),
    ];
  const { config, cluster, paused } = first;
  const findings: Finding[] = [];
  if (paused)
    findings.push(error(about, "it is paused", `Resume it: nats consumer resume ${wished.stream} ${wished.name}.`));
  for (const [field, want] of Object.entries({
    filter_subject: wished.filter,
    ack_policy: "explicit",
    deliver_policy: "all",
    max_deliver: -1,
  })) {
    const have = (config as unknown as Record<string, unknown>)[field] ?? (field === "max_deliver" ? -1 : undefined);
    if (have !== want)
      findings.push(
        error(about, `${field} is ${have}, not ${want}`, `Remove it, and it is created as it should be: ${remove}.`),
      );
  }
  if (cluster && !cluster.leader)
    findings.push(error(about, "it has no leader", "Start the servers of the cluster that are down."));
  if (findings.length > 0 || !wished.taken || !second) return findings;
  if (second.num_pending > 0 && second.delivered.consumer_seq === first.delivered.consumer_seq)
    return [
      error(
        about,
        `${counted(second.num_pending, "message")} of ${wished.about} wait, and none was taken within ${AGAIN_MS / 1000} s`,
        "Read the log of the process that takes them: its code may block it, or it may lack a permission " +
          `($JS.API.CONSUMER.MSG.NEXT.${wished.stream}.>). If it is gone, restart it.`,
      ),
    ];
  return [];
}
