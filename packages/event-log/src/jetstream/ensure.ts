import { JetStreamApiError, type JetStreamManager, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import {
  InvalidInputError,
  LogRefusedError,
  LogUnavailableError,
  Namespace,
  NamespaceNotFoundError,
  PartitionMismatchError,
  ServerTooOldError,
  Subjects,
} from "@stepstream/contracts";
import type { Link } from "./link.ts";
import { API } from "./requests.ts";
import { DEFAULT_PARTITIONS, PARTITIONS_KEY, type StreamSpec, streamsOf } from "./streams.ts";

/**
 * Finds a namespace's streams, or makes them.
 *
 * N1. The number of partitions is fixed by whoever makes EVENTS, and read from it by all others.
 * N2. Any number of processes may do this at the same time, and any of them may die half-way: EVENTS
 *     comes first, and each stream is looked for by itself.
 * N3. What exists is not changed: an operator's limits and replicas stay.
 *
 * Checked elsewhere:
 *   N1  test/conformance/jetstream.test.ts: keeps its number of partitions, whoever asks for none
 *   N2  test/conformance/jetstream.test.ts: agrees on one number where two processes make it with different ones
 *   N3  test/conformance/jetstream.test.ts: keeps what an operator has set for its streams
 */
export async function ensureNamespace(
  link: Link,
  timeoutMs: number,
  options: {
    namespace: string;
    partitions?: number | undefined;
    replicas?: number | undefined;
    create?: boolean | undefined;
  },
): Promise<Subjects> {
  const { namespace, partitions: asked, replicas = 1, create = true } = options;
  const fault = Namespace.safeParse(namespace).error?.issues[0];
  if (fault) throw new InvalidInputError("connectEventLog", "namespace", fault.message);
  if (asked !== undefined && !(Number.isInteger(asked) && asked >= 1 && asked <= 4096))
    throw new InvalidInputError("connectEventLog", "partitions", "a whole number from 1 to 4096 is needed");
  checkVersion(link.nc.info?.version ?? "0");

  const wished = new Subjects(namespace, asked ?? DEFAULT_PARTITIONS);
  const [events, ...others] = streamsOf(wished, replicas);
  // Making streams is no hot path: the official client does it.
  const { streams } = await jetstreamManager(link.nc, { checkAPI: false, timeout: Math.max(timeoutMs, 15_000) });
  const found = create ? await ensureStream(streams, events!) : await findStream(streams, events!.name);
  if (!found) throw new NamespaceNotFoundError(namespace);
  const stored = Number(found.metadata?.[PARTITIONS_KEY]);
  if (!Number.isInteger(stored) || stored < 1)
    throw new LogRefusedError(
      `namespace "${namespace}"`,
      0,
      `its stream ${events!.name} was not made by Stepstream (no ${PARTITIONS_KEY} in its metadata)`,
    );
  if (asked !== undefined && asked !== stored) throw new PartitionMismatchError(namespace, stored, asked);
  if (create) await Promise.all(others.map((spec) => ensureStream(streams, spec)));
  return stored === wished.partitions ? wished : new Subjects(namespace, stored);
}

async function ensureStream(streams: JetStreamManager["streams"], spec: StreamSpec): Promise<StreamConfig> {
  const what = `stream ${spec.name}`;
  const found = await findStream(streams, spec.name);
  if (found) return found;
  try {
    return (await streams.add(spec as StreamSpec & StreamConfig)).config;
  } catch (error) {
    if (codeOf(error) !== API.streamNameInUse) throw ours(what, error);
  }
  // Somebody was faster, with other settings than ours: theirs count.
  try {
    return (await streams.info(spec.name)).config;
  } catch (error) {
    throw ours(what, error);
  }
}

async function findStream(streams: JetStreamManager["streams"], name: string): Promise<StreamConfig | undefined> {
  try {
    return (await streams.info(name)).config;
  } catch (error) {
    if (codeOf(error) === API.streamNotFound) return undefined;
    throw ours(`stream ${name}`, error);
  }
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

/** The client's errors as ours: an answer that is a no, or no answer. */
function ours(what: string, error: unknown): Error {
  if (error instanceof JetStreamApiError) return new LogRefusedError(what, error.code, error.message);
  return new LogUnavailableError(`look after ${what}`, error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

const NEEDED = [2, 12] as const;

/** @throws {ServerTooOldError} Below 2.12, which has no message schedules. */
export function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]))
    throw new ServerTooOldError(version, NEEDED.join("."));
}
