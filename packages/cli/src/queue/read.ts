import { jetstreamManager } from "@nats-io/jetstream";
import type { Bus } from "../connection.ts";
import { type Present, rollCall } from "../roll-call.ts";
import { strandedCommands } from "./stranded.ts";

/** The queue of one step. */
export interface StepQueue {
  step: string;
  /** Commands that no worker has taken. */
  waiting: number;
  /** Commands that a worker has, or that wait there for their next attempt. */
  taken: number;
  /** Attempts under way, as workers say. */
  running: number;
  /** Of those taken: delivered more than once. */
  redelivered: number;
  /** When the oldest command that is not done was published, in epoch milliseconds. */
  oldestAt?: number;
  /** The same, of those that no worker has taken. */
  oldestWaitingAt?: number;
  /** Commands that are stored and that no worker will get. A coordinator publishes them again within a minute. */
  stranded: number;
  /** An operator has paused its consumer: no command is taken. */
  paused?: true;
  /** Workers that are up and do this step. */
  workers: number;
  /** Attempts that they can make at a time. */
  places: number;
  /** Circuit breakers that are not closed, by worker. */
  breakers: Record<string, "open" | "halfOpen">;
}

/** All steps that have commands, a consumer, or a worker. By name. */
export async function readQueues(bus: Bus): Promise<StepQueue[]> {
  const { log, nc } = bus;
  const { subjects } = log;
  const stream = subjects.streamName("COMMANDS");
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const [present, stranded, commands, infos] = await Promise.all([
    rollCall(log),
    strandedCommands(jsm, stream),
    log.list("COMMANDS", `${subjects.namespace}.command.>`),
    collect(jsm.consumers.list(stream)),
  ]);
  const outstanding = byStep(commands.keys());
  const lost = byStep(stranded);
  const consumers = new Map(infos.map((info) => [info.name.replace(/^step-/, ""), info]));
  const served = [...present.workers.values()].flatMap(({ steps }) => steps.map(({ step }) => step));
  const names = [...new Set([...outstanding.keys(), ...consumers.keys(), ...served])].sort();
  return Promise.all(
    names.map(async (step) => {
      const consumer = consumers.get(step);
      const out = outstanding.get(step) ?? 0;
      const taken = consumer?.num_ack_pending ?? 0;
      const waiting = consumer?.num_pending ?? out;
      const [oldestAt, oldestWaitingAt] = await Promise.all([
        out > 0 ? timeOfFirst(step, 1) : undefined,
        waiting > 0 ? timeOfFirst(step, (consumer?.delivered.stream_seq ?? 0) + 1) : undefined,
      ]);
      return {
        step,
        // Without a consumer no worker has ever been there for the step.
        waiting,
        taken,
        redelivered: consumer?.num_redelivered ?? 0,
        stranded: lost.get(step) ?? 0,
        ...(oldestAt !== undefined && { oldestAt }),
        ...(oldestWaitingAt !== undefined && { oldestWaitingAt }),
        ...(consumer?.paused && { paused: true as const }),
        ...ofWorkers(step, present.workers),
      };
    }),
  );

  function byStep(subjectsOf: Iterable<string>): Map<string, number> {
    const counts = new Map<string, number>();
    for (const subject of subjectsOf) {
      const step = subjects.parse(subject)?.step;
      if (step) counts.set(step, (counts.get(step) ?? 0) + 1);
    }
    return counts;
  }

  async function timeOfFirst(step: string, seq: number): Promise<number | undefined> {
    const first = await jsm.direct
      .getMessage(stream, { seq, next_by_subj: subjects.all.commandsOfStep(step) } as never)
      .catch(() => null);
    return first?.time.getTime();
  }
}

function ofWorkers(step: string, workers: Present["workers"]) {
  const breakers: StepQueue["breakers"] = {};
  const sum = { workers: 0, places: 0, running: 0 };
  for (const [worker, { steps }] of workers) {
    const its = steps.find((one) => one.step === step);
    if (!its) continue;
    sum.workers++;
    sum.places += its.concurrency;
    sum.running += its.running;
    if (its.breaker && its.breaker !== "closed") breakers[worker] = its.breaker;
  }
  return { ...sum, breakers };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
