import type { Subjects } from "@stepstream/contracts";
import type { Clock } from "../clock.ts";
import type { Contents } from "../port.ts";
import type { Publisher } from "./publisher.ts";
import { granted, isFault, type Requests } from "./requests.ts";
import { blobStream } from "./streams.ts";

/** Listing many subjects takes the server a while. */
const SLOW_MS = 30_000;

interface Chunk {
  readonly subject: string;
  readonly seq: number;
  readonly at: number;
  readonly data: string;
}

/**
 * Finds and removes what {@link createBlobs} has stored of runs that are gone.
 *
 * Content is stored before the message that refers to it, and who starts a run under the id of one that was deleted, with the same
 * input, finds its chunks there and stores none. So what is removed is old, and is stored again if there is a run afterwards.
 */
export function createContents(requests: Requests, publisher: Publisher, subjects: Subjects, clock: Clock): Contents {
  const stream = blobStream(subjects.namespace);

  async function list(filter: string): Promise<string[]> {
    const found: string[] = [];
    type Page = { state: { subjects?: Record<string, number> }; total?: number };
    for (;;) {
      const ask = { subjects_filter: filter, offset: found.length };
      const answer = await requests.api<Page>(`STREAM.INFO.${stream}`, ask, { timeoutMs: SLOW_MS, firstMs: 1_000 });
      const { state, total = 0 } = granted(`a listing of ${filter}`, answer);
      const page = Object.keys(state.subjects ?? {});
      for (const subject of page) found.push(subject);
      if (page.length === 0 || found.length >= total) return found;
    }
  }

  async function read(subject: string): Promise<Chunk | undefined> {
    type Got = { message: { seq: number; time: string; data?: string } };
    const got = await requests.api<Got>(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
    if (isFault(got) && got.fault.httpCode === 404) return undefined;
    const { seq, time, data = "" } = granted(`a read of ${subject}`, got).message;
    return { subject, seq, at: Date.parse(time), data };
  }

  return {
    async runs() {
      const all = await list(`${subjects.namespace}.blob.>`);
      return new Set(all.map((subject) => subject.split(".")[2]!));
    },

    async remove(run, { minAgeMs, isGone }) {
      const chunks: Chunk[] = [];
      for (const subject of await list(`${subjects.namespace}.blob.${run}.>`)) {
        const chunk = await read(subject);
        if (!chunk) continue;
        if (clock.now() - chunk.at < minAgeMs) return 0;
        chunks.push(chunk);
      }
      for (const { seq } of chunks) {
        const deleted = await requests.api<object>(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true });
        // Another may have removed it.
        if (isFault(deleted) && (await isThere(seq))) granted(`a removal of message ${seq}`, deleted, "removal");
      }
      if (chunks.length === 0 || (await isGone())) return chunks.length;
      for (const { subject, data } of chunks)
        await publisher.publish(subject, Buffer.from(data, "base64"), { ifLost: "resend" });
      return 0;
    },
  };

  async function isThere(seq: number): Promise<boolean> {
    return !isFault(await requests.api<object>(`STREAM.MSG.GET.${stream}`, { seq }));
  }
}
