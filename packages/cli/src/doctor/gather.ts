import { type ConsumerInfo, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { streamsOf } from "@stepstream/event-log/jetstream";
import type { Bus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import { rollCall } from "../roll-call.ts";
import type { Facts } from "./facts.ts";

/** Finds out all that the doctor judges. Writes nothing. */
export async function gather(bus: Bus, options: { monitor?: string | undefined; now(): number }): Promise<Facts> {
  const { log, nc, namespace } = bus;
  const { subjects } = log;
  const { info } = nc;
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 });
  const rttMs = await nc.rtt();
  // Before all else: what comes at the same time would be taken for a difference of clocks.
  const skewMs = await skewOf(bus, options.now);
  const [present, account, streams, consumers, steps, parked, dead, commands, forbidden, syncInterval] =
    await Promise.all([
      rollCall(log),
      accountOf(jsm),
      Promise.all(
        streamsOf(subjects, 1).map(async (wished) => {
          const found = await jsm.streams.info(wished.name).catch(() => undefined);
          return { wished, ...(found && { found }) };
        }),
      ),
      all(jsm.consumers.list(subjects.streamName("EVENTS"))),
      all(jsm.consumers.list(subjects.streamName("COMMANDS"))).catch(() => []),
      log.list("EVENTS", `${namespace}.parked.>`),
      // A stream that is not there is among the findings.
      log.list("DEAD", `${namespace}.dead.>`).catch(none),
      log.list("COMMANDS", `${namespace}.command.>`).catch(none),
      probe(bus),
      options.monitor === undefined ? undefined : syncIntervalOf(options.monitor),
    ]);
  return {
    server: {
      // Without one of its own a server is called by its id, which tells nobody anything.
      name: info?.server_name === info?.server_id ? "" : (info?.server_name ?? ""),
      version: info?.version ?? "0",
      ...(info?.cluster && { cluster: info.cluster }),
      maxPayload: info?.max_payload ?? 0,
      jetstream: info?.jetstream ?? false,
    },
    rttMs,
    ...(skewMs !== undefined && { skewMs }),
    ...(account && { account }),
    ...(syncInterval !== undefined && { syncInterval }),
    namespace,
    partitions: subjects.partitions,
    streams,
    inboxes: await inboxesOf(bus, consumers),
    steps,
    ...present,
    commands: byStep(bus, commands),
    parked: [...parked.keys()].map((subject) => subjects.parse(subject)?.run ?? subject),
    deadLetters: [...dead.values()].reduce((sum, count) => sum + count, 0),
    forbidden,
  };
}

async function accountOf(jsm: JetStreamManager): Promise<Facts["account"]> {
  const info = await jsm.getAccountInfo().catch(() => undefined);
  return info && { storage: info.storage, maxStorage: info.limits.max_storage, apiErrors: info.api.errors };
}

async function inboxesOf({ log }: Bus, consumers: readonly ConsumerInfo[]): Promise<Facts["inboxes"]> {
  const { subjects } = log;
  return Promise.all(
    Array.from({ length: subjects.partitions }, async (_, partition) => {
      const name = `inbox-${partition}`;
      const info = consumers.find((one) => one.name === name);
      // Only for those that have no coordinator is it worth the question.
      const messages = info ? 0 : (await log.list("EVENTS", subjects.all.inbox(partition))).size;
      return { name, partition, messages, ...(info && { info }) };
    }),
  );
}

function byStep({ log }: Bus, commands: ReadonlyMap<string, number>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const subject of commands.keys()) {
    const step = log.subjects.parse(subject)?.step ?? "?";
    counts.set(step, (counts.get(step) ?? 0) + 1);
  }
  return counts;
}

function none(): Map<string, number> {
  return new Map();
}

/** The answer to a question about a stream says when it was given. */
async function skewOf({ nc, log }: Bus, now: () => number): Promise<number | undefined> {
  const asked = now();
  const answer = await nc.request(`$JS.API.STREAM.INFO.${log.subjects.streamName("EVENTS")}`, "", { timeout: 5_000 });
  const heard = now();
  const { ts } = answer.json<{ ts?: string }>();
  const at = ts === undefined ? Number.NaN : Date.parse(ts);
  return Number.isNaN(at) ? undefined : at - (asked + heard) / 2;
}

/**
 * May we do what has to be done? Tries it in a way that changes nothing: a message that says which stream it expects,
 * and names another, is refused by the stream and not stored.
 */
async function probe({ nc, log, namespace }: Bus): Promise<Facts["forbidden"]> {
  const forbidden: Facts["forbidden"] = [];
  const { subjects } = log;
  const elsewhere = headers();
  elsewhere.set("Nats-Expected-Stream", "none");
  const run = "doctor";
  const publishes = [subjects.inbox(run), subjects.journal(run), subjects.attempts(run, 1), subjects.parked(run)];
  const commands = [subjects.command("doctor", run, 1), subjects.timer(run, 1), subjects.dead("doctor", run, 1)];
  const watch = (async () => {
    for await (const status of nc.status())
      if (status.type === "error") forbidden.push({ what: "the server", why: status.error.message });
  })();
  void watch.catch(() => {});
  for (const subject of [...publishes, ...commands]) {
    const answer = await nc
      .request(subject, "", { headers: elsewhere, timeout: 2_000 })
      .then((msg) => msg.json<{ error?: { err_code?: number; description: string } }>())
      .catch((cause: Error) => ({ error: { err_code: 0, description: cause.message } }));
    // 10060: "expected stream does not match".
    if (answer.error?.err_code !== 10_060)
      forbidden.push({ what: `publish to ${subject}`, why: answer.error?.description ?? "was stored" });
  }
  for (const subject of [`${namespace}.live.journal.>`, subjects.presence, `${namespace}.cancel.*`]) {
    const refused = Promise.withResolvers<string | undefined>();
    const sub = nc.subscribe(subject, { callback: (cause) => refused.resolve(cause?.message) });
    await nc.flush();
    refused.resolve(undefined);
    const why = await refused.promise;
    if (why !== undefined) forbidden.push({ what: `subscribe to ${subject}`, why });
    if (!sub.isClosed()) sub.unsubscribe();
  }
  return forbidden;
}

/** `sync_interval`, as the monitoring port tells it. */
async function syncIntervalOf(monitor: string): Promise<string | undefined> {
  type Jsz = { config?: { sync_interval?: number; sync_always?: boolean } };
  const { config } = await fetch(new URL("/jsz?config=1", monitor), { signal: AbortSignal.timeout(5_000) })
    .then((answer) => answer.json() as Promise<Jsz>)
    .catch((cause: Error) => {
      throw new CliError(`The monitoring port ${monitor} does not answer: ${cause.message}.`, EXIT.bus, { cause });
    });
  if (config?.sync_always) return "always";
  return config?.sync_interval === undefined ? undefined : `${config.sync_interval / 1e9} s`;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
