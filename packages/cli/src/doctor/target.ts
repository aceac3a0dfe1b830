import {
  type ConsumerInfo,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { NamespaceNotFoundError, type StreamKind, Subjects } from "@stepstream/contracts";
import { DEFAULT_PARTITIONS, PARTITIONS_KEY, type StreamSpec, streamsOf } from "@stepstream/event-log/jetstream";
import { type Need, ROLES, type Role, type Scope } from "../permissions/need.ts";
import { forbiddenTo, needsOf } from "../permissions/table.ts";
import { type Present, rollCall } from "../roll-call.ts";
import { type Monitored, readMonitor } from "./monitor.ts";
import { inboxPrefixOf, tryNeeds } from "./tried.ts";

/** A stream as it should be, and as it is. */
export interface StreamState {
  readonly wished: StreamSpec;
  /** Absent: there is none, or no answer about it (then `why`). */
  readonly found?: StreamInfo;
  /** Why there is no answer. */
  readonly why?: string;
}

export interface Options {
  /** URLs of monitoring ports. */
  readonly monitors: readonly string[];
  now(): number;
  /** It is the server of a `stepstream dev`. */
  readonly dev: boolean;
  /** From here on a command that no worker has taken is a finding, in milliseconds. */
  readonly maxWaitMs: number;
  /** The role whose permissions are examined. Absent: that of an operator, or all. */
  readonly role?: Role;
  /** The steps of the worker whose permissions are examined. Empty: all. */
  readonly steps: readonly string[];
}

/** The namespace under examination. What several checks need is read once, when the first asks for it. */
export interface Target extends Options {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly namespace: string;
  readonly subjects: Subjects;
  /** The server's clock less this machine's, in ms, known to within `errorMs`. Absent: not known. */
  readonly offset: { ms: number; errorMs: number } | undefined;
  streams(): Promise<readonly StreamState[]>;
  consumers(kind: StreamKind): Promise<readonly ConsumerInfo[]>;
  /** The coordinators and workers that answer. */
  present(): Promise<Present>;
  /** The subjects that hold messages, with how many. */
  list(kind: StreamKind, filter: string): Promise<ReadonlyMap<string, number>>;
  monitored(): Promise<readonly Monitored[]>;
  /** The namespace as the user of this connection sees it. */
  readonly scope: Scope;
  /** What the server does not permit of what the role, or any, needs, and of what the role must not. */
  refused(): Promise<(need: Need) => boolean>;
}

/** A process on a busy machine takes a while to answer, and must not be called missing for that. */
const MORE_MS = 800;

/** A server that answers does so within this. */
const ANSWER_MS = 2_500;

/**
 * @throws {NamespaceNotFoundError} None of its streams is there, and none of its processes.
 */
export async function openTarget(nc: NatsConnection, namespace: string, options: Options): Promise<Target> {
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: ANSWER_MS });
  const [wishedEvents] = streamsOf(new Subjects(namespace, DEFAULT_PARTITIONS), 1);
  const events = await stateOf(wishedEvents!);
  const partitions = Number(events.found?.config.metadata?.[PARTITIONS_KEY]) || DEFAULT_PARTITIONS;
  // Before the checks: what is asked at the same time would be taken for a difference between the clocks.
  const offset = events.found && (await offsetOf(nc, wishedEvents!.name, options.now).catch(() => undefined));
  const subjects = new Subjects(namespace, partitions);

  async function stateOf(wished: StreamSpec): Promise<StreamState> {
    try {
      return { wished, found: await jsm.streams.info(wished.name) };
    } catch (cause) {
      return cause instanceof JetStreamApiError && cause.code === STREAM_NOT_FOUND
        ? { wished }
        : { wished, why: (cause as Error).message };
    }
  }

  const scope = { subjects, inbox: inboxPrefixOf(nc), steps: options.steps };
  const { role } = options;
  const target: Target = {
    ...options,
    scope,
    refused: once(() =>
      tryNeeds(
        nc,
        role ? [...needsOf(role, scope), ...forbiddenTo(role, scope)] : ROLES.flatMap((one) => needsOf(one, scope)),
      ),
    ),
    nc,
    jsm,
    namespace,
    subjects,
    offset,
    streams: once(async () => {
      const [, ...others] = streamsOf(subjects, 1);
      return [events, ...(await Promise.all(others.map(stateOf)))];
    }),
    consumers: onceEach((kind: StreamKind) => all(jsm.consumers.list(subjects.streamName(kind)))),
    present: once(() => rollCall(talkOn(nc, subjects), MORE_MS)),
    monitored: once(() => Promise.all(options.monitors.map(readMonitor))),
    async list(kind, subjects_filter) {
      const { state } = await jsm.streams.info(subjects.streamName(kind), { subjects_filter });
      return new Map(Object.entries(state.subjects ?? {}));
    },
  };
  if (events.found || events.why !== undefined) return target;
  if ((await target.streams()).every(({ found, why }) => !found && why === undefined)) {
    const { coordinators, workers } = await target.present();
    if (coordinators.size + workers.size === 0) throw new NamespaceNotFoundError(namespace);
  }
  return target;
}

const STREAM_NOT_FOUND = 10_059;

/** What a roll call needs, without the streams that an event log asks for. */
function talkOn(nc: NatsConnection, subjects: Subjects): Parameters<typeof rollCall>[0] {
  return {
    subjects,
    broadcast: (subject, text) => nc.publish(subject, text),
    listen(subject, onMessage) {
      const sub = nc.subscribe(subject, {
        // A refusal is a finding about permissions.
        callback: (refused, msg) => (refused ? undefined : onMessage(msg.string(), msg.subject)),
      });
      return { stop: () => void (sub.isClosed() || sub.unsubscribe()) };
    },
  };
}

/** The answer about a stream has the server's time in it. The quickest of three exchanges says most. */
async function offsetOf(nc: NatsConnection, stream: string, now: () => number): Promise<Target["offset"]> {
  let best: Target["offset"];
  for (let tries = 0; tries < 3; tries++) {
    const askedAt = now();
    const answer = await nc.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: ANSWER_MS });
    const answeredAt = now();
    const at = Date.parse(answer.json<{ ts?: string }>().ts ?? "");
    const errorMs = (answeredAt - askedAt) / 2;
    if (Number.isNaN(at)) return undefined;
    if (!best || errorMs < best.errorMs) best = { ms: at - (askedAt + answeredAt) / 2, errorMs };
  }
  return best;
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= read();
    return asked;
  };
}

function onceEach<K, T>(read: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const asked = new Map<K, Promise<T>>();
  return (key) => {
    const known = asked.get(key) ?? read(key);
    asked.set(key, known);
    return known;
  };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
