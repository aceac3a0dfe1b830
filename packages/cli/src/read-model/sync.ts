import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamManager, jetstreamManager, type StreamInfo } from "@nats-io/jetstream";
import type { EventLog, Stored } from "@stepstream/event-log";
import type { Bus } from "../connection.ts";
import type { Seen } from "./fold.ts";
import { RunStore } from "./store.ts";

/** Messages that are read at once. */
const PAGE = 1_000;
/** Messages that are folded in one transaction. */
const BATCH = 10_000;
/** All of a stream. With a filter of its own the server would look at every subject. */
const ALL = ">";
/** After which a replica that lags behind is asked again. */
const LAG_MS = 50;

export interface Synced {
  store: RunStore;
  /** The stream's last message when it was asked. */
  lastSeq: number;
  /** Folded in just now. */
  folded: number;
}

/**
 * The read model of a namespace, brought up to date.
 *
 * S1. It goes on where the file was left. A file of another stream of the same name, or of a server that has lost what
 *     the file has seen, is made anew.
 * S2. Runs that were deleted leave no message. So when the stream has lost messages since the last time, the rows are
 *     held against the subjects that there are.
 *
 * @param options.rebuild - From the beginning.
 * @param options.stale - As the file is: asks the bus only where its end is.
 * @param options.onProgress - Told after each batch: how many of how many.
 */
export async function synced(
  bus: Bus,
  path: (stream: StreamInfo) => string,
  options: {
    rebuild?: boolean | undefined;
    stale?: boolean | undefined;
    onProgress?: (done: number, all: number) => void;
    /** Gives up. What was folded until then stays. */
    signal?: AbortSignal;
  } = {},
): Promise<Synced> {
  const { log, nc } = bus;
  const name = log.subjects.streamName("EVENTS");
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 30_000 });
  const stream = await jsm.streams.info(name);
  const file = path(stream);
  let store = RunStore.open(file, { rebuild: options.rebuild ?? false });
  const { last_seq: lastSeq, messages } = stream.state;
  if (options.stale) return { store, lastSeq, folded: 0 };
  if (await isOfAnotherPast(jsm, name, store)) {
    store.close();
    store = RunStore.open(file, { rebuild: true });
  }
  const end = { seq: lastSeq, at: Date.parse(stream.state.last_ts) };
  const folded = await catchUp(bus, store, end, options);
  const deleted = lastSeq - messages;
  if (deleted !== store.cursor.deleted) store.keepOnly(await runsStored(bus), deleted, lastSeq);
  if (store.hasParked) {
    const parked = await log.list("EVENTS", `${log.subjects.namespace}.parked.>`);
    store.unpark(runsIn(bus, parked.keys()), lastSeq);
  }
  return { store, lastSeq, folded };
}

/** The file of a namespace: a stream that was deleted and made again is another one. */
export function defaultPath(env: Readonly<Record<string, string | undefined>>, namespace: string) {
  const cache = env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache");
  return ({ config, created, cluster }: StreamInfo) => {
    const identity = createHash("sha256")
      .update(`${cluster?.name ?? ""}/${config.name}/${created}`)
      .digest("hex");
    return join(cache, "stepstream", "runs", `${namespace}-${identity.slice(0, 16)}.sqlite`);
  };
}

/** Is the message that the file ends with another one on the server, or not there any more? */
async function isOfAnotherPast(jsm: JetStreamManager, stream: string, store: RunStore): Promise<boolean> {
  const { seq, at } = store.cursor;
  if (seq === 0) return false;
  const { state } = await jsm.streams.info(stream);
  if (state.last_seq < seq) return true;
  const message = await jsm.direct.getMessage(stream, { seq }).catch(() => null);
  // It may have been deleted with its run. Times are told in two ways, which may differ in their rounding.
  return message !== null && Math.abs(message.time.getTime() - at) > 1;
}

/**
 * Pages of direct gets, not a consumer: whoever looks at runs needs no permission to make one. (A consumer delivers what is stored
 * to any subject that its maker names, whatever he may publish himself.)
 */
async function catchUp(
  { log }: Bus,
  store: RunStore,
  end: { seq: number; at: number },
  { onProgress = () => {}, signal }: { onProgress?: (done: number, all: number) => void; signal?: AbortSignal },
): Promise<number> {
  const begin = store.cursor.seq;
  let last = { seq: begin, at: 0 };
  let folded = 0;
  let batch: Stored[] = [];
  const flush = () => {
    fold(log, store, batch, last);
    folded += batch.length;
    batch = [];
    onProgress(Math.min(last.seq, end.seq) - begin, end.seq - begin);
  };
  let next = pageFrom(log, begin + 1);
  try {
    while (last.seq < end.seq) {
      const page = await next;
      signal?.throwIfAborted();
      // A replica may lag behind, and shows nothing then. The leader knows whether there is more.
      if (page.length > 0) last = { seq: page.at(-1)!.seq, at: page.at(-1)!.at };
      else if (await log.oldest("EVENTS", ALL, last.seq + 1)) await sleep(LAG_MS);
      else last = end;
      if (last.seq < end.seq) next = pageFrom(log, last.seq + 1);
      batch.push(...page);
      if (batch.length >= BATCH) flush();
    }
  } finally {
    // What was read stays read, also where the rest was not.
    if (last.seq > begin) flush();
  }
  return folded;
}

/** Read while the page before it is folded. What it throws is thrown where it is awaited. */
function pageFrom(log: EventLog, seq: number): Promise<Stored[]> {
  const page = log.scan("EVENTS", ALL, seq, PAGE);
  page.catch(() => {});
  return page;
}

function fold(log: EventLog, store: RunStore, page: readonly Stored[], last: { seq: number; at: number }): void {
  const batch: Seen[] = [];
  const strays: number[] = [];
  for (const { subject, seq, at, text } of page) {
    const parts = log.subjects.parse(subject);
    if (!parts) strays.push(seq);
    else if (parts.kind !== "attempts" && (parts.sender ?? "client") === "client")
      batch.push({ kind: parts.kind as Seen["kind"], run: parts.run, seq, at, text });
  }
  store.take(batch, last, strays);
}

async function runsStored(bus: Bus): Promise<Set<string>> {
  const { log } = bus;
  const inboxes = await log.list("EVENTS", `${log.subjects.namespace}.inbox.>`);
  return runsIn(bus, inboxes.keys());
}

/** Subjects that name no run are passed over. */
function runsIn({ log }: Bus, subjects: Iterable<string>): Set<string> {
  return new Set([...subjects].flatMap((subject) => log.subjects.parse(subject)?.run ?? []));
}
