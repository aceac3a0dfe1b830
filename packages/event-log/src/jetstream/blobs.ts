import { createHash } from "node:crypto";
import { LogRefusedError, MAX_MESSAGE_BYTES, Ref, type Subjects } from "@stepstream/contracts";
import { isTransient } from "../transient.ts";
import { header } from "./incoming.ts";
import type { Publisher } from "./publisher.ts";
import { granted, isFault, type Requests } from "./requests.ts";
import { blobStream } from "./streams.ts";

/**
 * Payloads too large for the bus, in an object store of our own: a stream with one subject per chunk,
 *
 *   <ns>.blob.<run>.<sha256>.<number of the chunk, from 1>
 *
 * while the message on the bus carries `{"v":1,"type":"Ref","key":"<run>/<sha256>","bytes":…}`.
 *
 * B1. Content is stored before the message that refers to it, and never written twice or changed:
 *     a chunk's subject takes one message. Two writers of the same content help each other. A chunk of this name that has
 *     other bytes (of a writer with another size of chunks, or made up) is left alone: the content is stored with a space
 *     behind it, which is the same JSON under another hash.
 *     (The object store of nats.js replaces an object by deleting the old chunks, under the hands of
 *     whoever reads them; and it waits for each chunk before it sends the next.)
 * B2. What is read has the hash that was asked for.
 * B3. A blob that is missing or broken becomes a text that no decoder accepts, and says why: the
 *     message goes the way of all malformed messages, and nobody waits behind it. A server that does
 *     not answer, or refuses, is no such case: that is its error.
 * B4. A reference is known by its header; its JSON may be spelled in any way. Its sizes are not trusted: they are
 *     bounded, each chunk has to have the length that they say, and the first that has not ends the read.
 * B5. At most `FETCH_BYTES_MAX` are being fetched at a time (or one blob that is larger), and a blob that is asked for
 *     several times at once is fetched once.
 * B6. A message refers to content of its own run only: that is kept as long as the run is.
 *
 * Checked elsewhere:
 *   B1  test/conformance/jetstream.test.ts: are stored once, however many write the same
 *   B2  test/conformance/jetstream.test.ts: are not lost where a chunk of their name has other content
 *   B3  test/conformance/jetstream.test.ts: that are gone become a text that says so, and hold nobody up
 *   B4  test/e2e/bus-input.test.ts: are read in any spelling
 *   B5  test/e2e/bus-input.test.ts: that are large keep no other run waiting
 *   B6  test/e2e/bus-input.test.ts: that fit nothing delay nobody, and become dead letters
 */
export interface Blobs {
  tooLarge(text: string): boolean;
  /** Stores it. @returns what to put on the bus in its place. */
  store(subject: string, text: string): Promise<Offloaded>;
  /** Does a message of the bus only refer to its content? */
  isReference(text: string, headers: string): boolean;
  /** The text of a message of the bus: as it is, or, if it is a reference, what it refers to. */
  resolve(subject: string, text: string, headers: () => string): string | Promise<string>;
}

interface Offloaded {
  text: string;
  /** The header, as a line, that tells a reference from a message that only looks like one. */
  lines: string;
}

/** UTF-8 bytes that still travel on the bus. */
const INLINE_BYTES_MAX = 256 * 1024;
/** One chunk. Well under the server's default `max_payload` of 1 MiB. */
const CHUNK_BYTES = 512 * 1024;
/** Chunks on their way at a time. */
const WINDOW = 8;
const REF_HEADER = "Stepstream-Ref";
/** No reference is longer, however its JSON is spelled. */
const REF_LENGTH_MAX = 4_096;
/** One chunk of another writer: no server takes larger messages by default, or by much. */
const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
/** Chunks of one blob. With our own size of a chunk, the largest message has 512. */
const CHUNKS_MAX = 262_144;
/** Names that are tried for one content: each but the last was taken by other bytes. */
const SPELLINGS = 8;
/** Bytes being fetched at a time. */
const FETCH_BYTES_MAX = MAX_MESSAGE_BYTES;

export function createBlobs(publisher: Publisher, requests: Requests, subjects: Subjects, maxPayload: number): Blobs {
  const ns = subjects.namespace;
  const stream = blobStream(ns);
  const chunkBytes = Math.min(CHUNK_BYTES, maxPayload - 1024);
  const inlineBytes = Math.min(INLINE_BYTES_MAX, maxPayload - 1024);

  /** Being fetched, by key and sizes. */
  const fetching = new Map<string, Promise<string>>();
  const budget = new Budget(FETCH_BYTES_MAX);
  const runOf = (subject: string) => subjects.parse(subject)?.run ?? "-";

  async function store(run: string, text: string): Promise<Offloaded> {
    for (let spelled = text, tries = 1; ; spelled += " ", tries++) {
      const data = Buffer.from(spelled);
      const hash = createHash("sha256").update(data).digest("hex");
      const name = `${ns}.blob.${run}.${hash}`;
      const stored = await windowed(Math.ceil(data.length / chunkBytes), (i) =>
        storeChunk(`${name}.${i + 1}`, data.subarray(i * chunkBytes, (i + 1) * chunkBytes)),
      );
      if (!stored && tries === SPELLINGS) throw new LogRefusedError(`a write of ${name}`, 0, "other content is there");
      if (!stored) continue;
      const ref: Ref = { v: 1, type: "Ref", key: `${run}/${hash}`, bytes: data.length, chunk: chunkBytes };
      return { text: JSON.stringify(ref), lines: `${REF_HEADER}: ${hash}\r\n` };
    }
  }

  /** @returns false if other bytes have this name. */
  async function storeChunk(subject: string, bytes: Uint8Array): Promise<boolean> {
    try {
      await publisher.publish(subject, bytes, { ifLost: "resend" });
      return true;
    } catch (error) {
      if (!isThere(error)) throw error;
      const known = await chunk(subject);
      return known !== undefined && Buffer.compare(known, bytes) === 0;
    }
  }

  /** What can be said of a reference without asking the server. @returns what is wrong with it. */
  function faultOf(subject: string, { key, bytes, chunk }: Ref): string | undefined {
    if (key.split("/")[0] !== runOf(subject)) return "it refers to the content of another run";
    if (bytes > MAX_MESSAGE_BYTES) return `it has ${bytes} bytes, and the limit is ${MAX_MESSAGE_BYTES}`;
    if (chunk > CHUNK_BYTES_MAX) return `its chunks have ${chunk} bytes, and the limit is ${CHUNK_BYTES_MAX}`;
    if (Math.ceil(bytes / chunk) > CHUNKS_MAX) return `it has more than ${CHUNKS_MAX} chunks`;
    return undefined;
  }

  function fetch(ref: Ref): Promise<string> {
    const key = `${ref.key}/${ref.bytes}/${ref.chunk}`;
    const known = fetching.get(key);
    if (known) return known;
    const fetched = fetchAll(ref).finally(() => fetching.delete(key));
    fetching.set(key, fetched);
    return fetched;
  }

  async function fetchAll(ref: Ref): Promise<string> {
    const [run, hash] = ref.key.split("/");
    const { bytes, chunk: size } = ref;
    const count = Math.ceil(bytes / size);
    let fault: string | undefined;
    const part = async (i: number): Promise<Uint8Array | undefined> => {
      const data = await chunk(`${ns}.blob.${run}.${hash}.${i + 1}`);
      const length = i === count - 1 ? bytes - size * i : size;
      if (data?.length === length) return data;
      fault ??= `chunk ${i + 1} of ${count} ${data ? `has ${data.length} bytes, not ${length}` : "is not in the store"}`;
      return undefined;
    };
    // The first alone: of what was made up there is none, and nothing is kept free for it.
    const first = await part(0);
    if (!first) return lost(ref, fault!);
    const done = await budget.take(bytes);
    try {
      const data = Buffer.allocUnsafe(bytes);
      data.set(first, 0);
      await windowed(count - 1, async (i) => {
        const next = await part(i + 1);
        if (next) data.set(next, size * (i + 1));
        return next !== undefined;
      });
      if (fault !== undefined) return lost(ref, fault);
      if (createHash("sha256").update(data).digest("hex") !== hash) return lost(ref, "the content has another hash");
      return data.toString("utf8");
    } finally {
      done();
    }
  }

  /** A replica may not have it yet; the leader has. */
  async function chunk(subject: string): Promise<Uint8Array | undefined> {
    let data: Uint8Array | undefined;
    await requests.many(
      `$JS.API.DIRECT.GET.${stream}.${subject}`,
      "",
      (msg) => {
        if (msg.data.length > 0) data = msg.data;
        return true;
      },
      { again: `DIRECT.GET.${stream}` },
    );
    if (data) return data;
    type Got = { message: { data?: string } };
    const got = await requests.api<Got>(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
    if (!isFault(got)) return Buffer.from(got.message.data ?? "", "base64");
    if (got.fault.httpCode === 404) return undefined;
    return granted(`a read of ${subject}`, got) as never;
  }

  return {
    // A UTF-16 unit is at most 3 bytes of UTF-8: most texts need no counting.
    tooLarge: (text) => text.length * 3 > inlineBytes && Buffer.byteLength(text) > inlineBytes,
    store: (subject, text) => store(runOf(subject), text),
    isReference: (text, headers) =>
      text.length <= REF_LENGTH_MAX && header(headers, REF_HEADER) !== "" && readRef(text) !== undefined,
    resolve(subject, text, headers) {
      if (text.length > REF_LENGTH_MAX || !header(headers(), REF_HEADER)) return text;
      const ref = readRef(text);
      if (!ref) return text;
      const fault = faultOf(subject, ref);
      if (fault !== undefined) return lost(ref, fault);
      return fetch(ref).catch((error: unknown) => {
        if (isTransient(error)) throw error;
        return lost(ref, (error as Error).message);
      });
    },
  };
}

/**
 * Calls `fn` for 0 … n − 1, some at a time: a slow line then answers each in time, and no buffer overflows. Ends with
 * the first that says false.
 *
 * @returns Whether all said true.
 */
async function windowed(n: number, fn: (i: number) => Promise<boolean>): Promise<boolean> {
  for (let from = 0; from < n; from += WINDOW) {
    const size = Math.min(WINDOW, n - from);
    const done = await Promise.all(Array.from({ length: size }, (_, i) => fn(from + i)));
    if (done.includes(false)) return false;
  }
  return true;
}

/** Lets so much be taken at a time, in the order of asking; more than there is, alone. */
class Budget {
  readonly #all: number;
  #left: number;
  readonly #waiting: { amount: number; go: () => void }[] = [];

  constructor(all: number) {
    this.#all = all;
    this.#left = all;
  }

  /** @returns what gives it back. */
  async take(asked: number): Promise<() => void> {
    const amount = Math.min(asked, this.#all);
    if (this.#waiting.length > 0 || amount > this.#left)
      await new Promise<void>((go) => this.#waiting.push({ amount, go }));
    else this.#left -= amount;
    return () => {
      this.#left += amount;
      for (let next = this.#waiting[0]; next && next.amount <= this.#left; next = this.#waiting[0]) {
        this.#left -= next.amount;
        this.#waiting.shift();
        next.go();
      }
    };
  }
}

/** @returns undefined if it is none: then it stays what it is, and the reader's decoder refuses it. */
export function readRef(text: string): Ref | undefined {
  try {
    const read = Ref.safeParse(JSON.parse(text));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}

function lost(ref: Ref, why: string): string {
  return JSON.stringify({ v: 1, type: "BlobLost", key: ref.key, why });
}

/** "Maximum messages per subject": there is a chunk of this name already. */
function isThere(error: unknown): boolean {
  return error instanceof LogRefusedError && error.detail.serverCode === 10077 && /per subject/.test(error.message);
}
