import {
  InvalidInputError,
  LogRefusedError,
  Namespace,
  NamespaceNotFoundError,
  PartitionMismatchError,
  type Retention,
  ServerTooOldError,
  Subjects,
} from "@stepstream/contracts";
import { API } from "./answers.ts";
import type { FoundStream } from "./keeper.ts";
import type { Link } from "./link.ts";
import { granted, isFault, type Requests } from "./requests.ts";
import { DEFAULT_PARTITIONS, PARTITIONS_KEY, type Placement, type StreamSpec, streamsOf } from "./streams.ts";

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
  requests: Requests,
  options: {
    namespace: string;
    partitions?: number | undefined;
    replicas?: number | undefined;
    placement?: Placement | undefined;
    retention?: Retention | undefined;
    create?: boolean | undefined;
    /** What is missing is made like these. Default: as partitions and replicas say. */
    like?: readonly FoundStream[] | undefined;
  },
): Promise<{ subjects: Subjects; streams: FoundStream[] }> {
  const { namespace, partitions: asked, replicas = 1, placement, retention, create = true, like } = options;
  const fault = Namespace.safeParse(namespace).error?.issues[0];
  if (fault) throw new InvalidInputError("connectEventLog", "namespace", fault.message);
  if (asked !== undefined && !(Number.isInteger(asked) && asked >= 1 && asked <= 4096))
    throw new InvalidInputError("connectEventLog", "partitions", "a whole number from 1 to 4096 is needed");
  checkVersion(link.nc.info?.version ?? "0");

  const wished = new Subjects(namespace, asked ?? DEFAULT_PARTITIONS);
  const specs =
    like?.map(({ config }) => config as StreamSpec) ?? streamsOf(wished, replicas, { placement, retention });
  const [events, ...others] = specs;
  const found = create ? await ensureStream(requests, events!) : await findStream(requests, events!.name);
  if (!found) throw new NamespaceNotFoundError(namespace);
  const stored = Number(found.config.metadata?.[PARTITIONS_KEY]);
  if (!Number.isInteger(stored) || stored < 1)
    throw new LogRefusedError(
      `namespace "${namespace}"`,
      0,
      `its stream ${events!.name} was not made by Stepstream (no ${PARTITIONS_KEY} in its metadata)`,
      "setup",
    );
  if (asked !== undefined && asked !== stored) throw new PartitionMismatchError(namespace, stored, asked);
  const rest = await Promise.all(
    others.map((spec) => (create ? ensureStream(requests, spec) : findStream(requests, spec.name))),
  );
  const subjects = stored === wished.partitions ? wished : new Subjects(namespace, stored);
  // One that is missing, and must not be made here, is one that was lost.
  const streams = [found, ...rest.map((one, i) => one ?? { config: { ...others[i]! }, created: "" })];
  return { subjects, streams };
}

/** Placing a stream's replicas takes a cluster a while. */
const CREATE_MS = 15_000;

async function ensureStream(requests: Requests, spec: StreamSpec): Promise<FoundStream> {
  const found = await findStream(requests, spec.name);
  if (found) return found;
  const limit = { timeoutMs: CREATE_MS, firstMs: CREATE_MS / 3 };
  const made = await requests.api<FoundStream>(`STREAM.CREATE.${spec.name}`, spec, limit);
  // Somebody was faster, with other settings than ours: theirs count.
  const there =
    isFault(made) && made.fault.code === API.streamNameInUse
      ? await requests.api<FoundStream>(`STREAM.INFO.${spec.name}`)
      : made;
  return granted(`stream ${spec.name}`, there, "setup");
}

async function findStream(requests: Requests, name: string): Promise<FoundStream | undefined> {
  const info = await requests.api<FoundStream>(`STREAM.INFO.${name}`, undefined, { asIs: true });
  if (isFault(info) && info.fault.code === API.streamNotFound) return undefined;
  return granted(`stream ${name}`, info, "setup");
}

const NEEDED = [2, 12] as const;

/** @throws {ServerTooOldError} Below 2.12, which has no message schedules. */
export function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]))
    throw new ServerTooOldError(version, NEEDED.join("."));
}
