import { LogRefusedError, type Subjects } from "@stepstream/contracts";
import type { Backlog, ConsumeOptions, Progress } from "../port.ts";
import { API } from "./answers.ts";
import { granted, isFault, type Requests } from "./requests.ts";

/** What the server says of a consumer, as far as it is read here. */
export interface ConsumerInfo {
  config: ConsumerConfig;
  /** Delivered and not acknowledged, those included that wait for a delay to be over. */
  num_ack_pending: number;
}

export interface ConsumerConfig {
  filter_subject?: string;
  /** In nanoseconds. */
  ack_wait?: number;
  metadata?: Record<string, string>;
  [setting: string]: unknown;
}

/** In its metadata: the `ack_wait` that it is to have, in milliseconds. See lease.ts. */
export const ACK_WAIT_KEY = "stepstream.ack_wait_ms";

/** Without these settings messages are lost or stay where they are: a start sets them right. */
const NEEDED = { filter_subjects: undefined, max_deliver: -1, backoff: undefined } as const;
/** The same, but the server cannot change them. */
const FIXED = { ack_policy: "explicit", deliver_policy: "all", replay_policy: "instant" } as const;

/**
 * The durable pull consumers, as data.
 *
 * - `max_ack_pending`: a nak with a delay keeps its message pending, so the default of 1,000 would let
 *   1,000 delayed retries stall the queue of a step.
 * - `max_waiting`: idle holders leave a pull or two each; 8,192 serve thousands of processes.
 * - `max_deliver` -1: the server only raises an advisory at the limit and leaves the message where it is.
 */
function consumerConfig({ consumer, filter, ackWaitMs }: Wished): ConsumerConfig {
  return {
    durable_name: consumer,
    name: consumer,
    filter_subject: filter,
    ...FIXED,
    ack_wait: toNanos(ackWaitMs),
    max_deliver: -1,
    max_ack_pending: 100_000,
    max_waiting: 8_192,
    metadata: { [ACK_WAIT_KEY]: `${Math.ceil(ackWaitMs)}` },
  };
}

type Wished = Pick<ConsumeOptions, "consumer" | "filter" | "ackWaitMs">;

/** Changing a consumer of a cluster takes it a while. */
const SETUP_MS = 15_000;

export function toNanos(ms: number): number {
  return Math.ceil(ms) * 1_000_000;
}

/**
 * Makes the consumer if it is not there. One that is there belongs to all who take from it, and to the operator: it is left as
 * it is, but for settings without which messages would get lost.
 *
 * @throws {LogRefusedError} It has settings with which it is of no use, and which the server cannot change.
 */
export async function ensureConsumer(requests: Requests, stream: string, wished: Wished): Promise<ConsumerInfo> {
  const what = `consumer ${wished.consumer} of ${stream}`;
  const found = (await infoOf(requests, stream, wished.consumer)) ?? (await create(requests, stream, wished));
  const { config } = found;
  for (const [setting, value] of Object.entries(FIXED)) {
    if (config[setting] === value) continue;
    const why = `its ${setting} is ${config[setting]}, and it must be ${value}. Delete it: it is made again`;
    throw new LogRefusedError(what, 0, why, "setup");
  }
  const needed = { ...NEEDED, filter_subject: wished.filter };
  const isRight = Object.entries(needed).every(([setting, value]) => config[setting] === value);
  return isRight ? found : changeConsumer(requests, stream, { ...config, ...needed });
}

/** @returns undefined if it does not exist. */
export async function infoOf(requests: Requests, stream: string, name: string): Promise<ConsumerInfo | undefined> {
  const info = await requests.api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${name}`, undefined, { timeoutMs: SETUP_MS });
  if (isFault(info) && info.fault.code === API.consumerNotFound) return undefined;
  return granted(`consumer ${name} of ${stream}`, info, "setup");
}

async function create(requests: Requests, stream: string, wished: Wished): Promise<ConsumerInfo> {
  const { consumer, filter } = wished;
  const name = `CONSUMER.CREATE.${stream}.${consumer}.${filter}`;
  const ask = { stream_name: stream, config: consumerConfig(wished), action: "create" };
  const made = await requests.api<ConsumerInfo>(name, ask, { timeoutMs: SETUP_MS });
  // Another process was faster, with settings of its own: they count.
  const there =
    isFault(made) && made.fault.code === API.consumerExists
      ? await requests.api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${consumer}`)
      : made;
  return granted(`consumer ${consumer} of ${stream}`, there, "setup");
}

/** Changes a consumer that exists, to exactly this. */
export async function changeConsumer(requests: Requests, stream: string, config: ConsumerConfig) {
  const { name, filter_subject } = config as { name: string; filter_subject: string };
  const ask = { stream_name: stream, config, action: "update" };
  const limit = { timeoutMs: SETUP_MS };
  const changed = await requests.api<ConsumerInfo>(`CONSUMER.CREATE.${stream}.${name}.${filter_subject}`, ask, limit);
  return granted(`consumer ${name} of ${stream}`, changed, "setup");
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
