import type { Subjects } from "@stepstream/contracts";
import type { Backlog, ConsumeOptions, Progress } from "../port.ts";
import { API } from "./answers.ts";
import { granted, isFault, type Requests } from "./requests.ts";

/**
 * The durable pull consumers, as data.
 *
 * - `max_ack_pending`: a nak with a delay keeps its message pending, so the default of 1,000 would let
 *   1,000 delayed retries stall the queue of a step.
 * - `max_waiting`: idle holders leave a pull or two each; 8,192 serve thousands of processes.
 * - `max_deliver` -1: the server only raises an advisory at the limit and leaves the message where it is.
 */
export function consumerConfig(options: Pick<ConsumeOptions, "consumer" | "filter" | "ackWaitMs">): object {
  return {
    durable_name: options.consumer,
    name: options.consumer,
    filter_subject: options.filter,
    ack_policy: "explicit",
    ack_wait: Math.ceil(options.ackWaitMs) * 1_000_000,
    deliver_policy: "all",
    replay_policy: "instant",
    max_deliver: -1,
    max_ack_pending: 100_000,
    max_waiting: 8_192,
  };
}

/** Makes the consumer, or changes what differs (its `ack_wait`); does nothing if it is there. */
export async function ensureConsumer(requests: Requests, stream: string, options: ConsumeOptions): Promise<void> {
  const name = `CONSUMER.CREATE.${stream}.${options.consumer}.${options.filter}`;
  const ask = { stream_name: stream, config: consumerConfig(options), action: "" };
  granted(`consumer ${options.consumer} of ${stream}`, await requests.api(name, ask, { timeoutMs: 15_000 }), "setup");
}

/** How far the consumer has come; nowhere if there is no such consumer. */
export async function progressOf(requests: Requests, stream: string, consumer: string): Promise<Progress> {
  type Info = { delivered: { stream_seq: number }; ack_floor: { stream_seq: number } };
  const info = await requests.api<Info>(`CONSUMER.INFO.${stream}.${consumer}`);
  if (isFault(info) && info.fault.code === API.consumerNotFound) return { delivered: 0, ackFloor: 0 };
  const { delivered, ack_floor } = granted(`consumer ${consumer} of ${stream}`, info);
  return { delivered: delivered.stream_seq, ackFloor: ack_floor.stream_seq };
}

/** What all durable consumers of a stream have not done with. The server tells 256 at a time. */
export async function backlogOf(requests: Requests, stream: string): Promise<Map<string, Backlog>> {
  type Page = { total: number; consumers?: { name: string; num_pending: number; num_ack_pending: number }[] | null };
  const found = new Map<string, Backlog>();
  for (let offset = 0, total = 1; offset < total; ) {
    const page = granted(`consumers of ${stream}`, await requests.api<Page>(`CONSUMER.LIST.${stream}`, { offset }));
    const { consumers } = page;
    if (!consumers?.length) break;
    for (const one of consumers) found.set(one.name, { waiting: one.num_pending, taken: one.num_ack_pending });
    offset += consumers.length;
    total = page.total;
  }
  return found;
}

export function nextSubject(subjects: Subjects, options: Pick<ConsumeOptions, "stream" | "consumer">): string {
  return `$JS.API.CONSUMER.MSG.NEXT.${subjects.streamName(options.stream)}.${options.consumer}`;
}
