import {
  LogRefusedError,
  Namespace,
  NamespaceExistsError,
  NamespaceNotFoundError,
  Retention,
  refuse,
} from "@stepstream/contracts";
import { type Clock, systemClock } from "../clock.ts";
import { API } from "./answers.ts";
import { checkVersion, ensureNamespace } from "./ensure.ts";
import { type NatsTarget, openLink } from "./link.ts";
import { createRequests, granted, isFault, type Requests } from "./requests.ts";
import { PARTITIONS_KEY, type Placement, RETENTION_KEY, retentionIn, streamNames } from "./streams.ts";
import { untilServed, type WaitOptions } from "./wait.ts";

/** What can be chosen for a namespace at any time. */
export interface NamespaceSettings {
  /** Copies of each stream: 1, 3 or 5. */
  replicas?: number | undefined;
  /** Which servers may hold the copies. `null`: any. */
  placement?: Placement | null | undefined;
  /** Which ended runs are removed. `null`: none. */
  retention?: Retention | null | undefined;
}

/** A stream of a namespace, as the server describes it. */
export interface NamespaceStream {
  readonly name: string;
  readonly messages: number;
  readonly bytes: number;
  readonly replicas: number;
  /** The server that leads it. Absent where there is one server, or no leader. */
  readonly leader?: string;
  /** Copies that lag behind, or whose server is away. */
  readonly lagging: readonly string[];
}

export interface NamespaceInfo {
  readonly namespace: string;
  readonly partitions: number;
  /** The smallest number of copies of its streams. */
  readonly replicas: number;
  readonly placement?: Placement;
  readonly retention?: Retention;
  readonly createdAt: number;
  readonly streams: readonly NamespaceStream[];
  /** Streams that should be there and are not. The next process that connects makes them. */
  readonly missing: readonly string[];
}

/**
 * Makes, describes, changes and deletes namespaces.
 *
 * M1. A namespace is made as a whole or, where that was interrupted, by doing it again; one that exists with other settings
 *     is refused, and unchanged.
 * M2. A change keeps what is stored, and all settings of the streams that it does not name.
 * M3. A deletion takes EVENTS last, so that one that was interrupted can be done again.
 *
 * Checked elsewhere:
 *   M1  test/conformance/namespaces.test.ts: that exists is the same again, and refused with other settings, of which none is changed (M1)
 *   M2  test/conformance/namespaces.test.ts: keeps what is stored, and what an operator has set, when it is changed (M2)
 *   M3  test/conformance/namespaces.test.ts: is deleted with all that is in it, also in two goes, and can be made again (M3)
 */
export interface Namespaces {
  /** The names of all namespaces, in order. */
  list(): Promise<string[]>;
  /**
   * @returns Whether it was made just now. False: it was there already, as it was asked for.
   * @throws {NamespaceExistsError} It is there with other settings, which stay.
   */
  create(namespace: string, settings?: NamespaceSettings & { partitions?: number | undefined }): Promise<boolean>;
  /** @throws {NamespaceNotFoundError} */
  info(namespace: string): Promise<NamespaceInfo>;
  /** @throws {NamespaceNotFoundError} */
  update(namespace: string, settings: NamespaceSettings): Promise<void>;
  /** With all that is stored in it. @throws {NamespaceNotFoundError} */
  remove(namespace: string): Promise<void>;
  close(): Promise<void>;
}

type Config = { name: string; num_replicas: number; placement?: Placement; metadata?: Record<string, string> };
interface StreamInfo {
  config: Config;
  created: string;
  state: { messages: number; bytes: number };
  cluster?: { leader?: string; replicas?: { name: string; current?: boolean; offline?: boolean }[] };
}

/** Moving the copies of a stream takes a cluster a while. */
const CHANGE_MS = 30_000;

/** Connects for the administration of namespaces. @throws {LogUnavailableError} No server there, or one without JetStream. */
export async function openNamespaces(
  options: { nats: NatsTarget; clock?: Clock; timeoutMs?: number } & WaitOptions,
): Promise<Namespaces> {
  const { clock = systemClock, timeoutMs = 5_000 } = options;
  const link = await untilServed(clock, options, () => openLink(options.nats, "stepstream", clock));
  const requests = createRequests(link, timeoutMs);
  checkVersion(link.nc.info?.version ?? "0");

  async function info(namespace: string): Promise<NamespaceInfo> {
    checkName(namespace);
    const names = streamNames(namespace);
    const found = await Promise.all(names.map((name) => streamInfo(requests, name)));
    const [events] = found;
    if (!events) throw new NamespaceNotFoundError(namespace);
    const there = found.filter((one) => one !== undefined);
    const { placement, metadata = {} } = events.config;
    const retention = retentionIn(metadata);
    return {
      namespace,
      partitions: partitionsIn(namespace, events),
      replicas: Math.min(...there.map(({ config }) => config.num_replicas)),
      ...(placement && { placement }),
      ...(retention && { retention }),
      createdAt: Date.parse(events.created),
      streams: there.map(described),
      missing: names.filter((_, index) => !found[index]),
    };
  }

  async function update(namespace: string, settings: NamespaceSettings): Promise<void> {
    checkName(namespace);
    checkSettings(settings);
    const names = streamNames(namespace);
    const found = await Promise.all(names.map((name) => streamInfo(requests, name)));
    const [events] = found;
    if (!events) throw new NamespaceNotFoundError(namespace);
    partitionsIn(namespace, events);
    for (const one of found) {
      if (!one) continue;
      const config = changed(one.config, settings, one === events);
      if (JSON.stringify(config) === JSON.stringify(one.config)) continue;
      const answer = await requests.api(`STREAM.UPDATE.${config.name}`, config, { timeoutMs: CHANGE_MS });
      granted(`stream ${config.name}`, answer, "setup");
    }
  }

  return {
    async list() {
      const found: string[] = [];
      type Page = { total: number; streams?: StreamInfo[] | null };
      for (let offset = 0, total = 1; offset < total; ) {
        const page = granted("the streams", await requests.api<Page>("STREAM.LIST", { offset }));
        const streams = page.streams ?? [];
        if (streams.length === 0) break;
        for (const { config } of streams)
          if (config.metadata?.[PARTITIONS_KEY] && config.name.endsWith("_EVENTS"))
            found.push(config.name.slice(0, -"_EVENTS".length));
        offset += streams.length;
        total = page.total;
      }
      return found.sort();
    },

    async create(namespace, settings = {}) {
      const { partitions, ...rest } = settings;
      checkName(namespace);
      checkSettings(rest);
      const { replicas, placement, retention } = rest;
      const before = await info(namespace).catch((error) => {
        if (error instanceof NamespaceNotFoundError) return undefined;
        throw error;
      });
      const differs = before && differences(before, settings);
      if (differs?.length) throw new NamespaceExistsError(namespace, differs.join(", "));
      await ensureNamespace(link, requests, {
        namespace,
        partitions,
        replicas: replicas ?? before?.replicas,
        placement: (placement === undefined ? before?.placement : placement) ?? undefined,
        retention: retention ?? undefined,
      });
      return before === undefined;
    },

    info,
    update,

    async remove(namespace) {
      checkName(namespace);
      const [events, ...others] = streamNames(namespace);
      const found = await streamInfo(requests, events!);
      if (!found) throw new NamespaceNotFoundError(namespace);
      partitionsIn(namespace, found);
      for (const name of [...others, events!]) {
        const answer = await requests.api<object>(`STREAM.DELETE.${name}`, undefined, { timeoutMs: CHANGE_MS });
        if (isFault(answer) && answer.fault.code === API.streamNotFound) continue;
        granted(`stream ${name}`, answer, "setup");
      }
    },

    async close() {
      requests.stop();
      await link.close();
    },
  };
}

async function streamInfo(requests: Requests, name: string): Promise<StreamInfo | undefined> {
  const found = await requests.api<StreamInfo>(`STREAM.INFO.${name}`);
  if (isFault(found) && found.fault.code === API.streamNotFound) return undefined;
  return granted(`stream ${name}`, found, "setup");
}

function described({ config, state, cluster }: StreamInfo): NamespaceStream {
  const lagging = (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline);
  return {
    name: config.name,
    messages: state.messages,
    bytes: state.bytes,
    replicas: config.num_replicas,
    ...(cluster?.leader && { leader: cluster.leader }),
    lagging: lagging.map(({ name }) => name),
  };
}

/** A configuration with the settings in it. @param isEvents - Of the stream that holds what is of the namespace. */
function changed(config: Config, settings: NamespaceSettings, isEvents: boolean): Config {
  const { replicas, placement, retention } = settings;
  const { placement: placed, ...rest } = config;
  const where = placement === undefined ? placed : (placement ?? undefined);
  const { [RETENTION_KEY]: kept, ...metadata } = config.metadata ?? {};
  const policy = retention === undefined ? kept : retention === null ? undefined : JSON.stringify(retention);
  return {
    ...rest,
    num_replicas: replicas ?? config.num_replicas,
    ...(where && { placement: where }),
    ...(isEvents && { metadata: { ...metadata, ...(policy !== undefined && { [RETENTION_KEY]: policy }) } }),
  };
}

function partitionsIn(namespace: string, { config }: StreamInfo): number {
  const partitions = Number(config.metadata?.[PARTITIONS_KEY]);
  if (Number.isInteger(partitions) && partitions >= 1) return partitions;
  const why = `its stream ${config.name} was not made by Stepstream (no ${PARTITIONS_KEY} in its metadata)`;
  throw new LogRefusedError(`namespace "${namespace}"`, 0, why, "setup");
}

function differences(
  there: NamespaceInfo,
  { partitions, replicas, placement, retention }: NamespaceSettings & { partitions?: number | undefined },
): string[] {
  return [
    partitions !== undefined && partitions !== there.partitions && `it has ${there.partitions} partitions`,
    replicas !== undefined && replicas !== there.replicas && `it has ${there.replicas} replicas`,
    placement !== undefined && !same(placement ?? undefined, there.placement) && "its placement differs",
    retention !== undefined && !same(retention ?? undefined, there.retention) && "its retention differs",
  ].filter((why) => why !== false);
}

function same(a: object | undefined, b: object | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function checkName(namespace: string): void {
  const fault = Namespace.safeParse(namespace).error?.issues[0];
  if (fault) refuse("namespace", namespace, fault.message);
}

function checkSettings({ replicas, placement, retention }: NamespaceSettings): void {
  if (replicas !== undefined && ![1, 3, 5].includes(replicas)) refuse("replicas", replicas, "1, 3 or 5");
  if (placement && !placement.cluster && !placement.tags?.length) refuse("placement", placement, "a cluster, or tags");
  if (!retention) return;
  const fault = Retention.safeParse(retention).error?.issues[0];
  if (fault)
    refuse("retention", retention, `rules as retentionOf() makes them (${fault.path.join(".")}: ${fault.message})`);
}
