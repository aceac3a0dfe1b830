import { createHash } from "node:crypto";
import { LogRefusedError, LogUnavailableError, type Subjects } from "@stepstream/contracts";
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
 *     a chunk's subject takes one message. Two writers of the same content help each other.
 *     (The object store of nats.js replaces an object by deleting the old chunks, under the hands of
 *     whoever reads them; and it waits for each chunk before it sends the next.)
 * B2. What is read has the hash that was asked for.
 * B3. A blob that is missing or broken becomes a text that no decoder accepts, and says why: the
 *     message goes the way of all malformed messages, and nobody waits behind it. A server that does
 *     not answer is no such case: that is LogUnavailableError.
 */
export interface Blobs {
  tooLarge(text: string): boolean;
  /** Stores it. @returns what to put on the bus in its place. */
  store(run: string, text: string): Promise<Offloaded>;
  /** The text of a message of the bus: as it is, or, if it is a reference, what it refers to. */
  resolve(text: string, headers: () => string): string | Promise<string>;
}

export interface Offloaded {
  text: string;
  /** The header, as a line, that tells a reference from a message that only looks like one. */
  lines: string;
}

/** UTF-8 bytes that still travel on the bus. */
export const INLINE_BYTES_MAX = 256 * 1024;
/** One chunk. Well under the server's default `max_payload` of 1 MiB. */
const CHUNK_BYTES = 512 * 1024;
/** Chunks on their way at a time. */
const WINDOW = 8;
const REF_HEADER = "Stepstream-Ref";
const REF_START = '{"v":1,"type":"Ref",';

export interface Ref {
  v: 1;
  type: "Ref";
  /** `<run>/<sha256, hex>` */
  key: string;
  bytes: number;
  /** Bytes of each chunk but the last. */
  chunk: number;
}

export function createBlobs(publisher: Publisher, requests: Requests, subjects: Subjects, maxPayload: number): Blobs {
  const ns = subjects.namespace;
  const stream = blobStream(ns);
  const chunkBytes = Math.min(CHUNK_BYTES, maxPayload - 1024);
  const inlineBytes = Math.min(INLINE_BYTES_MAX, maxPayload - 1024);

  async function store(run: string, data: Buffer): Promise<Offloaded> {
    const hash = createHash("sha256").update(data).digest("hex");
    await windowed(Math.ceil(data.length / chunkBytes), (i) => {
      const chunk = data.subarray(i * chunkBytes, (i + 1) * chunkBytes);
      return publisher.publish(`${ns}.blob.${run}.${hash}.${i + 1}`, chunk).then(() => {}, unlessThere);
    });
    const ref: Ref = { v: 1, type: "Ref", key: `${run}/${hash}`, bytes: data.length, chunk: chunkBytes };
    return { text: JSON.stringify(ref), lines: `${REF_HEADER}: ${hash}\r\n` };
  }

  async function fetch(ref: Ref): Promise<string> {
    const [run, hash] = ref.key.split("/");
    const count = Math.ceil(ref.bytes / ref.chunk);
    const chunks = await windowed(count, (i) => chunk(`${ns}.blob.${run}.${hash}.${i + 1}`));
    const missing = chunks.indexOf(undefined);
    if (missing >= 0) return lost(ref, `chunk ${missing + 1} of ${count} is not in the store`);
    const data = Buffer.concat(chunks as Uint8Array[]);
    if (createHash("sha256").update(data).digest("hex") !== hash) return lost(ref, "the content has another hash");
    return data.toString("utf8");
  }

  /** A replica may not have it yet; the leader has. */
  async function chunk(subject: string): Promise<Uint8Array | undefined> {
    let data: Uint8Array | undefined;
    await requests.many(`$JS.API.DIRECT.GET.${stream}.${subject}`, "", (msg) => {
      if (msg.data.length > 0) data = msg.data;
      return true;
    });
    if (data) return data;
    type Got = { message: { data?: string } };
    const got = await requests.api<Got>(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
    if (!isFault(got)) return got.message.data === undefined ? undefined : Buffer.from(got.message.data, "base64");
    if (got.fault.httpCode === 404) return undefined;
    return granted(`a read of ${subject}`, got) as never;
  }

  return {
    // A UTF-16 unit is at most 3 bytes of UTF-8: most texts need no counting.
    tooLarge: (text) => text.length * 3 > inlineBytes && Buffer.byteLength(text) > inlineBytes,
    store: (run, text) => store(run, Buffer.from(text)),
    resolve(text, headers) {
      if (!text.startsWith(REF_START) || !header(headers(), REF_HEADER)) return text;
      const ref = readRef(text);
      if (!ref) return text;
      return fetch(ref).catch((error: unknown) => {
        if (error instanceof LogUnavailableError) throw error;
        return lost(ref, (error as Error).message);
      });
    },
  };
}

/** Calls `fn` for 0 … n − 1, some at a time: a slow line then answers each in time, and no buffer overflows. */
async function windowed<T>(n: number, fn: (i: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let from = 0; from < n; from += WINDOW) {
    const size = Math.min(WINDOW, n - from);
    all.push(...(await Promise.all(Array.from({ length: size }, (_, i) => fn(from + i)))));
  }
  return all;
}

/** @returns undefined if it is none: then it stays what it is, and the reader's decoder refuses it. */
export function readRef(text: string): Ref | undefined {
  try {
    const ref = JSON.parse(text) as Ref;
    const whole = (n: unknown) => Number.isInteger(n) && (n as number) > 0;
    return whole(ref.bytes) && whole(ref.chunk) && /^[^/.*>\s]+\/[0-9a-f]{64}$/.test(ref.key) ? ref : undefined;
  } catch {
    return undefined;
  }
}

function lost(ref: Ref, why: string): string {
  return JSON.stringify({ v: 1, type: "BlobLost", key: ref.key, why });
}

/** "Maximum messages per subject": the chunk is there already, and by its name it is the same. */
function unlessThere(error: unknown): void {
  if (!(error instanceof LogRefusedError) || error.detail.serverCode !== 10077) throw error;
  if (!/per subject/.test(error.message)) throw error;
}
