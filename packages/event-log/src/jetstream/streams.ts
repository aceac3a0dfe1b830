import { Retention, Subjects } from "@stepstream/contracts";

/**
 * The streams of a namespace, as data (what the server's API takes).
 *
 * - `discard: new` everywhere: a full stream refuses, it never forgets. (Message schedules do not
 *   allow it; TIMERS has no limit that could be reached.)
 * - EVENTS has no max_age: after its history has gone, a run's fence would let it start again.
 * - EVENTS republishes journals, so that watchers cost no consumer.
 * - COMMANDS holds one message per subject and refuses a second: a command is fenced while outstanding.
 * - TIMERS is a work queue, although a schedule is no work: nobody consumes schedules, so they stay
 *   until they fire or are purged; and a `due` message is gone once it is acked, instead of piling up.
 *   (Verified on 2.15.1; with `interest` the server drops schedules, for nobody is interested in them.)
 * - BLOBS holds what is too large for the bus, in chunks; one per subject, so that writing the same
 *   content twice changes nothing.
 */
export interface StreamSpec {
  name: string;
  subjects: string[];
  [setting: string]: unknown;
}

/** Within this time the same `Nats-Msg-Id` is stored once (L1). */
const DUPLICATE_WINDOW_NS = 120_000_000_000;

export const PARTITIONS_KEY = "stepstream.partitions";

/** Which ended runs are removed, as JSON; see `Retention`. */
export const RETENTION_KEY = "stepstream.retention";

export const DEFAULT_PARTITIONS = 16;

/** Which servers of a cluster may hold the copies of a stream. */
export interface Placement {
  /** The name of a cluster, where several form one system. */
  cluster?: string;
  /** Tags that a server must have, all of them: `server_tags` of its configuration. */
  tags?: string[];
}

/** What is in effect: nothing that cannot be read removes a run. */
export function retentionIn(metadata: Readonly<Record<string, string>> = {}): Retention | undefined {
  const said = metadata[RETENTION_KEY];
  if (said === undefined) return undefined;
  try {
    return Retention.parse(JSON.parse(said));
  } catch {
    return undefined;
  }
}

/** The names of a namespace's streams; EVENTS, which holds what is of the namespace, is the first. */
export function streamNames(namespace: string): string[] {
  return streamsOf(new Subjects(namespace, 1), 1).map(({ name }) => name);
}

export function blobStream(namespace: string): string {
  return `${namespace}_BLOBS`;
}

export function streamsOf(
  subjects: Subjects,
  replicas: number,
  { placement, retention }: { placement?: Placement | undefined; retention?: Retention | undefined } = {},
): StreamSpec[] {
  const ns = subjects.namespace;
  const common = {
    storage: "file",
    num_replicas: replicas,
    ...(placement && { placement }),
    allow_direct: true,
    duplicate_window: DUPLICATE_WINDOW_NS,
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_msg_size: -1,
  };
  return [
    {
      ...common,
      name: subjects.streamName("EVENTS"),
      description: "What happened to runs, and what was decided",
      subjects: [`${ns}.inbox.>`, `${ns}.journal.>`, `${ns}.attempts.>`, `${ns}.parked.>`],
      retention: "limits",
      discard: "new",
      republish: { src: `${ns}.journal.>`, dest: `${ns}.live.journal.>` },
      metadata: {
        [PARTITIONS_KEY]: String(subjects.partitions),
        ...(retention && { [RETENTION_KEY]: JSON.stringify(retention) }),
      },
    },
    {
      ...common,
      name: subjects.streamName("COMMANDS"),
      description: "Work for workers",
      subjects: [`${ns}.command.>`],
      retention: "workqueue",
      discard: "new",
      max_msgs_per_subject: 1,
      discard_new_per_subject: true,
    },
    {
      ...common,
      name: subjects.streamName("TIMERS"),
      description: "Message schedules, and what they fired",
      subjects: [`${ns}.timer.>`, `${ns}.due.>`],
      retention: "workqueue",
      discard: "old",
      max_msgs_per_subject: 1,
      allow_msg_schedules: true,
    },
    {
      ...common,
      name: subjects.streamName("DEAD"),
      description: "What could not be handled",
      subjects: [`${ns}.dead.>`],
      retention: "limits",
      discard: "new",
    },
    {
      ...common,
      name: blobStream(ns),
      description: "Payloads too large for the bus, in chunks",
      subjects: [`${ns}.blob.>`],
      retention: "limits",
      discard: "new",
      max_msgs_per_subject: 1,
      discard_new_per_subject: true,
    },
  ];
}
