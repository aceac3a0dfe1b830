import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import {
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { Bus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Seen } from "./fold.ts";
import { RunStore } from "./store.ts";

/** Messages that are folded in one transaction. */
const BATCH = 10_000;
/** After which it is worth asking whether anything more comes. */
const IDLE_MS = 500;
/** Tells a reference to a large payload from a message; see the event log. */
const REF_HEADER = "Stepstream-Ref";

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

async function catchUp(
  bus: Bus,
  store: RunStore,
  end: { seq: number; at: number },
  { onProgress = () => {}, signal }: { onProgress?: (done: number, all: number) => void; signal?: AbortSignal },
): Promise<number> {
  const { log, nc } = bus;
  const { subjects } = log;
  const from = store.cursor.seq + 1;
  if (from > end.seq) return 0;
  // Without a filter, although failed attempts do not matter here: with several the server works out how much is pending
  // by looking at every subject (2.15.1: 4 s for 2,000 runs, and more than minutes for 100,000).
  const consumer = await jetstream(nc).consumers.get(subjects.streamName("EVENTS"), {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
  });
  const all = (await consumer.info(true)).num_pending;
  let batch: Seen[] = [];
  let strays: number[] = [];
  let done = 0;
  let last = { seq: from - 1, at: 0 };
  /** Else it was ended in the middle, with its connection, say: what was not read is read the next time. */
  let isWhole = true;
  const flush = () => {
    store.take(batch, last, strays);
    batch = [];
    strays = [];
    onProgress(done, all);
  };
  if (all > 0) {
    const messages = await consumer.consume({ max_messages: BATCH });
    // The last of them may be deleted before they come: then nothing more does.
    let seen = -1;
    let lost: Error | undefined;
    isWhole = false;
    const idle = setInterval(async () => {
      const still = done === seen;
      seen = done;
      if (signal?.aborted) messages.stop();
      if (!still) return;
      try {
        if ((await consumer.info()).num_pending > 0) return;
        isWhole = true;
        messages.stop();
      } catch (error) {
        // Without an answer it may still go on; without the stream, or this look at it, nothing more comes.
        if (!isGone(error)) return;
        lost = error;
        messages.stop();
      }
    }, IDLE_MS);
    try {
      for await (const msg of messages) {
        const parts = subjects.parse(msg.subject);
        const { seq } = msg;
        const at = msg.time.getTime();
        if (!parts) strays.push(seq);
        else if (parts.kind !== "attempts" && (parts.sender ?? "client") === "client") {
          const text = msg.headers?.has(REF_HEADER) ? await whole(bus, msg.subject, seq) : msg.string();
          batch.push({ kind: parts.kind as Seen["kind"], run: parts.run, seq, at, text });
        }
        last = { seq, at };
        done++;
        if (done % BATCH === 0) flush();
        isWhole = msg.info.pending === 0 || seq >= end.seq;
        if (isWhole) break;
      }
    } finally {
      clearInterval(idle);
    }
    if (signal?.aborted || lost) flush();
    signal?.throwIfAborted();
    if (lost)
      throw new CliError(`The runs could not be read to the end: ${lost.message}. Try again.`, EXIT.bus, {
        cause: lost,
      });
  }
  // Failed attempts may come after the last message that matters here.
  if (isWhole && last.seq < end.seq) last = end;
  flush();
  return done;
}

function isGone(error: unknown): error is Error {
  const { ConsumerNotFound, StreamNotFound } = JetStreamApiCodes;
  return error instanceof JetStreamApiError && (error.code === ConsumerNotFound || error.code === StreamNotFound);
}

/** The text of a message that is kept elsewhere for its size. Rare. */
async function whole({ log }: Bus, subject: string, seq: number): Promise<string> {
  const [stored] = await log.read(subject, { fromSeq: seq, fresh: true });
  return stored?.seq === seq ? stored.text : "";
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
