/**
 * One stream and its durable consumers, asked in the server's own words, on a real nats-server and on the log in memory:
 * what the scripts of consumers.ts and the tests of purge.test.ts are played on. Nothing of the event log's port is
 * between a test and the server.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Stored } from "@stepstream/event-log";
import { MemoryConsumer, MemoryStream, type Puller, RULES } from "@stepstream/event-log/memory";
import { Chance, VirtualClock } from "@stepstream/testing";

export type Retention = "limits" | "workqueue";

/** A message as it was delivered. */
export interface Given {
  seq: number;
  /** The consumer's sequence of this delivery. */
  consumerSeq: number;
  deliveries: number;
}

export interface ConsumerState {
  /** Messages up to here were delivered, or skipped. */
  delivered: number;
  consumerSeq: number;
  floor: number;
  consumerFloor: number;
  pending: number;
}

export interface RawStream {
  /** @returns its sequence. */
  publish(subject: string): Promise<number>;
  consumer(name: string, filter: string, ackWaitMs: number): Promise<void>;
  /** What the consumer has to give at once, at most `max`. */
  take(consumer: string, max: number): Promise<Given[]>;
  /** What it gives within `ms`. */
  await(consumer: string, max: number, ms: number): Promise<Given[]>;
  ack(consumer: string, given: Given): Promise<void>;
  nak(consumer: string, given: Given, delayMs?: number): Promise<void>;
  working(consumer: string, given: Given): Promise<void>;
  /** `STREAM.PURGE` with a subject. */
  purge(subject: string, limit?: { keep?: number; upTo?: number }): Promise<void>;
  /** `STREAM.MSG.DELETE` of each message of the subject. */
  remove(subject: string): Promise<void>;
  state(consumer: string): Promise<ConsumerState>;
  /** The sequences it holds. */
  stored(): Promise<number[]>;
  close(): Promise<void>;
}

let count = 0;

export async function rawOnServer(nc: NatsConnection, retention: Retention): Promise<RawStream> {
  const name = `RAW_${process.pid}_${++count}`;
  const prefix = `raw${process.pid}-${count}.`;
  const replies = new Map<string, string>();

  async function api(what: string, body?: unknown): Promise<any> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const answer = (await nc.request(`$JS.API.${what}`, text, { timeout: 10_000 })).json<any>();
    if (answer.error) throw new Error(`${what}: ${answer.error.description} (${answer.error.err_code})`);
    return answer;
  }

  async function pull(consumer: string, max: number, expiresMs: number): Promise<Given[]> {
    const given: Given[] = [];
    const body = expiresMs > 0 ? { batch: max, expires: expiresMs * 1_000_000 } : { batch: max, no_wait: true };
    const sub = nc.subscribe(`_raw.${name}.${++count}`);
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${name}.${consumer}`, JSON.stringify(body), { reply: sub.getSubject() });
    for await (const msg of sub) {
      if (!msg.reply) break; // A status: that was all.
      const [, , , , deliveries, seq, consumerSeq] = msg.reply.split(".");
      const one = { seq: Number(seq), consumerSeq: Number(consumerSeq), deliveries: Number(deliveries) };
      replies.set(`${consumer} ${one.consumerSeq}`, msg.reply);
      given.push(one);
      if (given.length === max) break;
    }
    return given;
  }

  async function stored(subject = ">", from = 1): Promise<number[]> {
    const seqs: number[] = [];
    for (let seq = from; ; ) {
      const next_by_subj = subject === ">" ? `${prefix}>` : prefix + subject;
      const found = await api(`STREAM.MSG.GET.${name}`, { seq, next_by_subj }).catch(() => undefined);
      if (!found) return seqs;
      seqs.push(found.message.seq);
      seq = found.message.seq + 1;
    }
  }

  /** Which subjects each consumer takes. */
  const filters = new Map<string, string>();

  /**
   * Until each consumer has counted what is stored. The server says so to its consumers after it has answered the
   * publisher (`signalConsumersLoop`): a request for what is there may come before that, and find nothing.
   */
  async function counted(): Promise<void> {
    for (const [consumer, filter] of filters) {
      for (;;) {
        const { delivered, num_pending } = await api(`CONSUMER.INFO.${name}.${consumer}`);
        if (num_pending === (await stored(filter, delivered.stream_seq + 1)).length) break;
      }
    }
  }

  /** Waits for the server's answer: what follows finds it done. */
  async function answer(consumer: string, { consumerSeq }: Given, word: string): Promise<void> {
    await nc.request(replies.get(`${consumer} ${consumerSeq}`)!, word, { timeout: 10_000 });
  }

  await api(`STREAM.CREATE.${name}`, { name, subjects: [`${prefix}>`], retention, storage: "file", num_replicas: 1 });
  return {
    async publish(subject) {
      const { seq } = (await nc.request(prefix + subject, "")).json<{ seq: number }>();
      await counted();
      return seq;
    },
    async consumer(consumer, filter, ackWaitMs) {
      filters.set(consumer, filter);
      const config = {
        durable_name: consumer,
        name: consumer,
        filter_subject: prefix + filter,
        ack_policy: "explicit",
        ack_wait: ackWaitMs * 1_000_000,
      };
      const ask = { stream_name: name, config, action: "" };
      await api(`CONSUMER.CREATE.${name}.${consumer}.${config.filter_subject}`, ask);
    },
    take: (consumer, max) => pull(consumer, max, 0),
    await: (consumer, max, ms) => pull(consumer, max, ms),
    ack: (consumer, given) => answer(consumer, given, "+ACK"),
    nak: (consumer, given, delayMs = 0) =>
      answer(consumer, given, delayMs > 0 ? `-NAK {"delay":${delayMs * 1_000_000}}` : "-NAK"),
    working: (consumer, given) => answer(consumer, given, "+WPI"),
    async purge(subject, { keep, upTo } = {}) {
      const limit = upTo === undefined ? {} : { seq: upTo + 1 };
      await api(`STREAM.PURGE.${name}`, { filter: prefix + subject, ...(keep ? { keep } : {}), ...limit });
    },
    async remove(subject) {
      for (const seq of await stored(subject)) await api(`STREAM.MSG.DELETE.${name}`, { seq, no_erase: true });
    },
    async state(consumer) {
      const { delivered, ack_floor, num_ack_pending } = await api(`CONSUMER.INFO.${name}.${consumer}`);
      return {
        delivered: delivered.stream_seq,
        consumerSeq: delivered.consumer_seq,
        floor: ack_floor.stream_seq,
        consumerFloor: ack_floor.consumer_seq,
        pending: num_ack_pending,
      };
    },
    stored: () => stored(),
    async close() {
      await api(`STREAM.DELETE.${name}`).catch(() => {});
    },
  };
}

/** A moment between two requests: "at once" takes a millisecond in memory. */
const MOMENT_MS = 5;

export async function rawInMemory(retention: Retention): Promise<RawStream> {
  const clock = new VirtualClock(new Chance(1).next, 0);
  const stream = new MemoryStream({ ...RULES.EVENTS, workQueue: retention === "workqueue" }, 120_000);
  const consumers = new Map<string, MemoryConsumer>();
  stream.onRemoved = (seq) => {
    for (const consumer of consumers.values()) consumer.removed(seq);
  };
  const of = (consumer: string) => consumers.get(consumer)!;
  const pass = (ms: number, until: () => boolean = () => false) => clock.run(until, ms);

  async function pull(consumer: string, max: number, ms: number): Promise<Given[]> {
    await pass(MOMENT_MS);
    const given: Given[] = [];
    const take = ({ seq }: Stored, deliveries: number, consumerSeq: number) => {
      given.push({ seq, consumerSeq, deliveries });
    };
    const puller: Puller = { credit: max, open: () => true, take };
    of(consumer).add(puller);
    of(consumer).dispatch();
    if (ms > 0) await pass(ms, () => given.length === max);
    of(consumer).remove(puller);
    return given;
  }

  return {
    async publish(subject) {
      const { seq } = stream.append(subject, "", clock.now());
      for (const consumer of consumers.values()) consumer.dispatch();
      return seq;
    },
    async consumer(name, filter, ackWaitMs) {
      consumers.set(name, new MemoryConsumer(clock, stream, filter, ackWaitMs));
    },
    take: (consumer, max) => pull(consumer, max, 0),
    await: (consumer, max, ms) => pull(consumer, max, ms),
    async ack(consumer, { seq }) {
      of(consumer).ack(seq);
    },
    async nak(consumer, { seq, consumerSeq }, delayMs = 0) {
      of(consumer).nak(seq, consumerSeq, delayMs);
      await pass(MOMENT_MS);
    },
    async working(consumer, { seq }) {
      of(consumer).working(seq);
    },
    async purge(subject, { keep, upTo } = {}) {
      stream.purge(subject, keep, upTo, consumers.values());
    },
    async remove(subject) {
      stream.remove(subject);
    },
    async state(consumer) {
      const { delivered, ackFloor, consumerSeq, consumerFloor, backlog } = of(consumer);
      return { delivered, consumerSeq, floor: ackFloor, consumerFloor, pending: backlog.taken };
    },
    async stored() {
      const seqs: number[] = [];
      for (let seq = 1; seq <= stream.lastSeq; seq++) if (stream.get(seq)) seqs.push(seq);
      return seqs;
    },
    async close() {},
  };
}
