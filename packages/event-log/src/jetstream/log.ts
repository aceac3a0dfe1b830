import { randomBytes } from "node:crypto";
import type { Msg } from "@nats-io/transport-node";
import type { Subjects } from "@stepstream/contracts";
import {
  checkFunction,
  checkNamespace,
  checkObject,
  checkText,
  checkWhole,
  isTooLong,
  LogUnavailableError,
  MessageTooLargeError,
  refuse,
} from "@stepstream/contracts";
import { type Clock, systemClock } from "../clock.ts";
import type { Appended, AppendOptions, EventLog, Stored, Subscription } from "../port.ts";
import { createBlobs } from "./blobs.ts";
import { backlogOf, progressOf } from "./consumer.ts";
import { createContents } from "./contents.ts";
import { ensureNamespace } from "./ensure.ts";
import { followStored } from "./follow.ts";
import { headerBlock } from "./incoming.ts";
import { keepTime } from "./keep-time.ts";
import { type FoundStream, Keeper } from "./keeper.ts";
import { anotherLike, type NatsTarget, openLink } from "./link.ts";
import { createPublisher, type PublishOptions } from "./publisher.ts";
import { startPuller } from "./puller.ts";
import { createReader } from "./reader.ts";
import { isForReplies, isRelayed } from "./relayed.ts";
import { createRemover } from "./remover.ts";
import { createRequests, granted } from "./requests.ts";
import { retentionIn } from "./streams.ts";
import { createTimers } from "./timers.ts";
import { untilServed, type WaitOptions } from "./wait.ts";

export interface ConnectOptions extends WaitOptions {
  /** URLs of servers, options of nats.js, or a connection, which then stays yours to close. */
  nats: NatsTarget;
  /** Isolates tenants and tests on one server: 1 to 32 of A-Z a-z 0-9 _ -. */
  namespace: string;
  /** Fixed when the namespace is made (then 16 by default); left out, what is stored counts. */
  partitions?: number;
  /** Whether the namespace's streams are made where they are missing. Default true. */
  create?: boolean;
  /** Copies of each stream, when the namespace is made. Default 1; 3 in production. */
  replicas?: number;
  /** The connection's name, for people who look at the server. Default "stepstream". */
  name?: string;
  clock?: Clock;
  /** Longest wait for an answer, in milliseconds. Default 5,000. */
  timeoutMs?: number;
}

/** The names of these options, for what takes them among its own. */
export const CONNECT_OPTIONS: readonly string[] = [
  "nats",
  "namespace",
  "partitions",
  "create",
  "replicas",
  "name",
  "clock",
  "timeoutMs",
  "waitMs",
  "onWaiting",
  "signal",
] satisfies (keyof ConnectOptions)[];

/** @throws {RangeError} One of them makes no sense, so far as that can be seen without a connection. */
export function checkConnectOptions(options: Partial<ConnectOptions>): void {
  const { nats, namespace, partitions, create, replicas, name, clock, timeoutMs } = options;
  const { waitMs, onWaiting, signal } = options;
  const isTarget = typeof nats === "string" || (typeof nats === "object" && nats !== null);
  if (nats !== undefined && !isTarget) refuse("nats", nats, 'a URL such as "localhost:4222", several, or a connection');
  if (namespace !== undefined) checkNamespace(namespace);
  if (partitions !== undefined) checkWhole("partitions", partitions, 1, 4_096);
  if (create !== undefined && typeof create !== "boolean") refuse("create", create, "true or false");
  if (replicas !== undefined) checkWhole("replicas", replicas, 1, 5);
  if (name !== undefined) checkText("name", name);
  if (clock !== undefined) checkObject("clock", clock);
  if (timeoutMs !== undefined) checkWhole("timeoutMs", timeoutMs);
  if (waitMs !== undefined && waitMs !== Number.POSITIVE_INFINITY) checkWhole("waitMs", waitMs, 0);
  if (onWaiting !== undefined) checkFunction("onWaiting", onWaiting);
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse("signal", signal, "an AbortSignal");
}

/** Not to be guessed by others, who may choose ids, too. */
const randomId = () => randomBytes(12).toString("base64url");

/**
 * The event log on NATS JetStream.
 *
 * @throws {LogUnavailableError} No server there, or one without JetStream.
 * @throws {ServerTooOldError} It is older than 2.12.
 * @throws {PartitionMismatchError} The namespace was made with another number of partitions.
 * @throws {NamespaceNotFoundError} There is no such namespace, and `create` is false.
 */
export function connectEventLog(options: ConnectOptions): Promise<EventLog> {
  return untilServed(options.clock ?? systemClock, options, () => connectOnce(options));
}

async function connectOnce(options: ConnectOptions, like?: readonly FoundStream[]): Promise<EventLog> {
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.timeoutMs ?? 5_000;
  const link = await openLink(options.nats, options.name ?? "stepstream", clock);
  const { nc, callbacks } = link;
  const keeper = new Keeper(link, options.create ?? true);
  const requests = createRequests(link, timeoutMs, keeper);
  let subjects: Subjects;
  try {
    const namespace = await ensureNamespace(link, requests, { ...options, like });
    subjects = namespace.subjects;
    keeper.start(requests, options.namespace, namespace.streams);
  } catch (error) {
    requests.stop();
    await link.close();
    throw error;
  }
  const publisher = createPublisher(link, timeoutMs, keeper);
  const blobs = createBlobs(publisher, requests, subjects, nc.info?.max_payload ?? 1_048_576);
  const reader = createReader(requests, subjects, blobs);
  const remover = createRemover(requests, reader, subjects);
  const timers = createTimers(publisher, reader, remover, subjects);
  const parts = { link, requests, blobs, subjects, keeper };
  const time = await keepTime(link, requests, subjects.streamName("EVENTS"));

  async function appendLarge(subject: string, whole: string, options?: AppendOptions) {
    if (isTooLong(whole)) throw new MessageTooLargeError(`an append to ${subject}`, Buffer.byteLength(whole));
    const { text, lines } = await blobs.store(subject, whole);
    return publishOnce(subject, text, { ...options, lines });
  }

  function publishOnce(subject: string, text: string, options?: PublishOptions): Promise<Appended> {
    if (options?.id === undefined && options?.expectLast === undefined)
      return publisher.publish(subject, text, options);
    return publisher.publish(subject, text, options, {
      onDuplicate: async (appended) =>
        options.id === undefined ? appended : verified(subject, text, options, appended),
      onMoved: () => copyOf(subject, text, options.expectLast ?? 0),
    });
  }

  /** What the fence did not let pass may be an earlier copy of the same append (P6). */
  async function copyOf(subject: string, text: string, expected: number): Promise<Appended | "pending" | undefined> {
    const last = await reader.rawLast(subject);
    if ((last?.seq ?? 0) === expected) return "pending";
    return last && last.seq > expected && last.text === text ? { seq: last.seq, duplicate: true } : undefined;
  }

  /**
   * The server compares nothing but ids, of all that is in the stream: a message that is not ours may have had this one
   * (L8). Then ours was not stored, and is, under another id.
   */
  async function verified(
    subject: string,
    text: string,
    options: PublishOptions,
    appended: Appended,
  ): Promise<Appended> {
    const first = await reader.raw(subjects.streamOf(subject), appended.seq);
    if (first?.subject === subject && first.text === text) return appended;
    // A command that is gone has been handled, or it was another's: only the run's history tells.
    if (!first && subjects.streamOf(subject) === "COMMANDS") return { ...appended, gone: true };
    const { id: taken, ...rest } = options;
    const another = { ...rest, id: `${taken}.${randomId()}` };
    const stored = await publisher.publish(subject, text, another, {
      onMoved: () => copyOf(subject, text, rest.expectLast ?? 0),
    });
    return first?.subject === subject ? { ...stored, displacedBy: first.text } : stored;
  }

  /** What `close()` has to end. */
  const open = new Set<{ stop(): unknown }>();
  function kept<S extends { stop(): unknown }>(one: S): S {
    const stop = one.stop.bind(one);
    open.add(one);
    one.stop = () => {
      open.delete(one);
      return stop();
    };
    return one;
  }

  function listen(subject: string, onMessage: (text: string, subject: string) => void): Subscription {
    const sub = link.subscribe(subject, (msg) => {
      if (isRelayed(headerBlock(msg))) return;
      callbacks.call(`a listener on ${subject}`, () => onMessage(msg.string(), msg.subject));
    });
    return kept({ stop: () => sub.end() });
  }

  async function ask(subject: string, text: string, timeoutMs: number): Promise<string | undefined> {
    let answer: string | undefined;
    const read = (msg: { string(): string }) => {
      answer = msg.string();
      return true;
    };
    try {
      await requests.many(subject, text, read, { timeoutMs });
    } catch (error) {
      if (!(error instanceof LogUnavailableError)) throw error;
    }
    return answer;
  }

  function answer(subject: string, reply: (text: string, subject: string) => Promise<string | undefined>) {
    const respond = async (msg: Msg) => {
      if (isRelayed(headerBlock(msg)) || !isForReplies(msg.reply, subjects.namespace)) return;
      try {
        const text = await reply(msg.string(), msg.subject);
        if (text !== undefined && !link.dead()) msg.respond(text);
      } catch (error) {
        // No answer, or one that the server does not take: whoever asked asks another process, or again.
        callbacks.report(`an answer on ${msg.subject}`, error);
      }
    };
    const sub = link.subscribe(subject, (msg) => void respond(msg));
    return kept({ stop: () => sub.end() });
  }

  return {
    subjects,
    get serverId() {
      return link.serverId;
    },
    serverNow: () => link.serverClock.now(),
    append(subject, text, options) {
      if (!blobs.tooLarge(text)) return publishOnce(subject, text, options);
      return appendLarge(subject, text, options);
    },
    read: reader.read,
    last: reader.last,
    lasts: reader.lasts,
    list: reader.list,
    count: (stream, filter, fromSeq = 1) => reader.count(stream, filter, fromSeq),
    oldest: (stream, filter, fromSeq = 1) => reader.oldest(stream, filter, fromSeq),
    scan: reader.scan,
    async namespace() {
      const name = subjects.streamName("EVENTS");
      type Info = { config: { metadata?: Record<string, string> }; state: { messages: number; last_seq: number } };
      const { config, state } = granted(`stream ${name}`, await requests.api<Info>(`STREAM.INFO.${name}`));
      const retention = retentionIn(config.metadata);
      return { ...(retention && { retention }), removed: state.last_seq - state.messages };
    },
    remove: (subject, options = {}) => remover.remove(subject, options),
    setTimer: timers.set,
    timerAt: timers.at,
    cancelTimer: timers.cancel,
    contents: createContents(requests, publisher, subjects, clock),
    consume: async (options) => kept(await startPuller(parts, options)),
    backlog: (stream) => backlogOf(requests, subjects.streamName(stream)),
    progress: (stream, consumer) => progressOf(requests, subjects.streamName(stream), consumer),
    followJournal: (run: string, onStored: (stored: Stored) => void) =>
      kept(followStored(link, blobs, subjects, run, onStored)),
    broadcast(subject, text) {
      if (link.dead()) return; // It may be lost, and it is.
      try {
        nc.publish(subject, text);
      } catch (error) {
        // Too large for the bus, or no subject: it is lost, as any may be (L6). Most are sent by a timer.
        callbacks.report(`a broadcast on ${subject}`, error);
      }
    },
    listen,
    ask,
    answer,
    onReconnect: (fn) => kept(link.onUp(fn)),
    onConnection: (fn) => kept(link.onChange(fn)),
    onDenied: (fn) => kept(link.denials.onReport(fn)),
    denials: () => link.denials.recent(),
    onStreamsLost: (fn) => kept(keeper.onLost(fn)),
    onError: (fn) => callbacks.onError(fn),
    async close() {
      await Promise.all([...open].map((one) => one.stop()));
      if (!link.dead()) await nc.flush().catch(() => {});
      time.stop();
      publisher.stop();
      requests.stop();
      keeper.stop();
      await link.close();
    },
    reopen: () => connectOnce({ ...options, nats: anotherLike(options.nats) }, keeper.streams),
    abandon() {
      const all = [...open];
      keeper.stop();
      link.abandon();
      // On a connection that stays, the server must not go on giving messages to them.
      for (const one of all) void (async () => one.stop())().catch(() => {});
    },
  };
}
