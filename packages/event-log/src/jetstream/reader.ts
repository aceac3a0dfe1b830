import type { Msg } from "@nats-io/transport-node";
import type { StreamKind, Subjects } from "@stepstream/contracts";
import { LogRefusedError } from "@stepstream/contracts";
import type { Glimpse, ReadOptions, Stored } from "../port.ts";
import type { Blobs } from "./blobs.ts";
import { added, header, headerBlock, statusOfAnswer } from "./incoming.ts";
import { isRelayed, RELAYED, wasRelayed } from "./relayed.ts";
import { granted, isFault, type Requests, Unavailable } from "./requests.ts";

/**
 * Reads what is stored.
 *
 * R1. An exact subject is read by direct batch gets: any replica answers, all messages in one or few
 *     round trips, in stream order.
 * R2. `fresh` asks the leader for the subject's last sequence beside the read: a read that reaches it
 *     misses nothing that was acknowledged before the call. One that does not is repeated; what a
 *     lagging replica still lacks then is fetched from the leader, one by one.
 * R3. Several subjects are read as one, each exactly, because a wildcard takes the server thirty times as long: a replica says
 *     what it has of each and up to which sequence that is all; then each is read, at least so far, and what is beyond is
 *     left out. So what is returned lacks none that is older than its last, though the reads are made at different moments
 *     and by different replicas.
 * R4. A listing is for people and takeovers: the server counts, page by page.
 * R5. A count is one direct get of one message, which says how many more there are.
 *
 * Checked elsewhere:
 *   R1  test/conformance/jetstream.test.ts: do not slow a long history's pages down, nor mix them up
 *   R2  test/conformance/suite.ts: is read from a sequence on, fresh or not
 *   R3  test/conformance/suite.ts: of several subjects lacks none that is older than its last
 *   R4  test/conformance/jetstream.test.ts: are listed, all of them, past the server's page of 100,000
 *   R5  test/conformance/suite.ts: has the number of messages whose subject matches
 */
export interface Reader {
  read(subject: string, options?: ReadOptions): Promise<Stored[]>;
  last(subject: string, options?: ReadOptions): Promise<Stored | undefined>;
  /** The last messages of exact subjects of one stream, by subject, as they are on the bus. */
  lasts(subjects: readonly string[]): Promise<Map<string, Glimpse>>;
  /** A header of the last message of a subject; undefined if there is no message. */
  headerOfLast(subject: string, name: string): Promise<string | undefined>;
  /** A message as it is on the bus: where it was too large, the reference to it. */
  raw(stream: StreamKind, seq: number): Promise<{ subject: string; text: string } | undefined>;
  /** The last of a subject as it is on the bus, and as the leader has it. */
  rawLast(subject: string): Promise<{ seq: number; text: string } | undefined>;
  list(stream: StreamKind, filter: string): Promise<Map<string, number>>;
  count(stream: StreamKind, filter: string, fromSeq: number): Promise<number>;
  /** The oldest message from `fromSeq` on whose subject matches, as the leader has it. */
  oldest(
    stream: StreamKind,
    filter: string,
    fromSeq: number,
  ): Promise<Pick<Stored, "subject" | "seq" | "at"> | undefined>;
  /** One page of the messages whose subject matches, in stream order, as a replica has them. */
  scan(stream: StreamKind, filter: string, fromSeq: number, limit: number): Promise<Stored[]>;
  /** The sequences of all messages of a subject that were acknowledged before the call. */
  sequences(subject: string): Promise<number[]>;
}

/** Messages per request. The server ends a batch earlier if it grows too large for it. */
const BATCH = 1_000;
/** Subjects of one request for the last messages of many. The server refuses more than 1,024. */
const LASTS = 768;
/** Replicas that lag behind the leader are asked so often. */
const SNAPSHOTS = 3;
/** Listing hundreds of thousands of subjects takes the server a while. */
const SLOW_MS = 30_000;
/** Silence after which a listing is asked for again: a short one takes milliseconds, and of a long one answers come late. */
const LISTING_MS = 1_000;

const isFilter = (subject: string) => subject.endsWith(".*");

/** Direct gets of a stream are answered one after the other. */
const again = (stream: string) => ({ again: `DIRECT.GET.${stream}` });

/** @throws {Unavailable} For now. @throws {LogRefusedError} Where the status is another than that of a message, 0. */
function mustBeMessage(subject: string, code: number, why: string): void {
  if (code >= 500 || code === 429) throw new Unavailable(`${why} (status ${code})`);
  if (code !== 0) throw new LogRefusedError(`a read of ${subject}`, code, why, "read");
}

interface RawMessage {
  subject: string;
  seq: number;
  data?: string;
  hdrs?: string;
  time: string;
}

export function createReader(requests: Requests, subjects: Subjects, blobs: Blobs): Reader {
  const streamName = (subject: string) => subjects.streamName(subjects.streamOf(subject));

  /** All of a subject from `fromSeq` on, as a replica has it. */
  async function direct(stream: string, subject: string, fromSeq: number): Promise<(Stored | Promise<Stored>)[]> {
    const found: (Stored | Promise<Stored>)[] = [];
    await pages(stream, subject, fromSeq, (seq, msg, block) => found.push(given(seq, msg, block)));
    return found;
  }

  async function pages(
    stream: string,
    subject: string,
    fromSeq: number,
    onMessage: (seq: number, msg: Msg, block: string) => void,
  ): Promise<void> {
    for (let from = fromSeq; ; ) {
      const { last, more } = await page(stream, subject, from, BATCH, onMessage);
      if (more === 0 || last === 0) return;
      from = last + 1;
    }
  }

  /** @returns The last sequence, 0 for none; and how many more there are. */
  async function page(
    stream: string,
    subject: string,
    from: number,
    batch: number,
    onMessage: (seq: number, msg: Msg, block: string) => void,
  ): Promise<{ last: number; more: number }> {
    let last = 0;
    let more = 0;
    const body = `{"seq":${from},"next_by_subj":${JSON.stringify(subject)},"batch":${batch}}`;
    await requests.many(
      `$JS.API.DIRECT.GET.${stream}`,
      body,
      (msg) => {
        const block = headerBlock(msg);
        if (msg.data.length === 0) {
          const { code, why } = statusOfAnswer(block);
          if (code === 204) more = Number(added(block, "Nats-Num-Pending"));
          else if (code !== 404) mustBeMessage(subject, code, why);
          if (code !== 0) return true;
        }
        last = Number(added(block, "Nats-Sequence"));
        onMessage(last, msg, block);
        return false;
      },
      again(stream),
    );
    return { last, more };
  }

  /** A message of a direct get: with what the server has added to its headers. */
  function given(seq: number, msg: Msg, block: string) {
    const subject = added(block, "Nats-Subject");
    return stored(subject, seq, added(block, "Nats-Time-Stamp"), msg.string(), block, wasRelayed(block));
  }

  function stored(subject: string, seq: number, time: string, raw: string, block: string, relayed: boolean) {
    const text = relayed ? RELAYED : blobs.resolve(subject, raw, () => block);
    const at = Date.parse(time);
    if (typeof text === "string") return { subject, seq, at, text };
    return text.then((whole) => ({ subject, seq, at, text: whole }));
  }

  async function fromLeader(stream: string, ask: object): Promise<RawMessage | undefined> {
    const got = await requests.api<{ message: RawMessage }>(`STREAM.MSG.GET.${stream}`, ask);
    if (!isFault(got)) return got.message;
    if (got.fault.httpCode === 404) return undefined;
    return granted(`a read of ${stream}`, got) as never;
  }

  function ofLeader(raw: RawMessage): Stored | Promise<Stored> {
    const text = Buffer.from(raw.data ?? "", "base64").toString("utf8");
    const block = raw.hdrs ? Buffer.from(raw.hdrs, "base64").toString("utf8") : "";
    return stored(raw.subject, raw.seq, raw.time, text, block, isRelayed(block));
  }

  /** The last message of a subject, as a replica has it. */
  async function directLast(subject: string, onMessage: (msg: Msg, block: string) => void): Promise<void> {
    const stream = streamName(subject);
    await requests.many(
      `$JS.API.DIRECT.GET.${stream}.${subject}`,
      "",
      (msg) => {
        const block = headerBlock(msg);
        const { code, why } = msg.data.length === 0 ? statusOfAnswer(block) : { code: 0, why: "" };
        if (code !== 404) mustBeMessage(subject, code, why);
        if (code === 0) onMessage(msg, block);
        return true;
      },
      again(stream),
    );
  }

  /** @returns The last sequence of the stream that it knew of; 0 if it has no message of theirs. */
  async function lastsOf(all: readonly string[], found: Map<string, Glimpse>): Promise<number> {
    const stream = streamName(all[0]!);
    let upTo = 0;
    for (let from = 1; ; ) {
      let more = false;
      let last = 0;
      const ask = { seq: from, multi_last: all, batch: LASTS, ...(upTo > 0 && { up_to_seq: upTo }) };
      await requests.many(
        `$JS.API.DIRECT.GET.${stream}`,
        JSON.stringify(ask),
        (msg) => {
          const block = headerBlock(msg);
          if (msg.data.length === 0) {
            const { code, why } = statusOfAnswer(block);
            if (code === 204) {
              more = Number(added(block, "Nats-Num-Pending")) > 0;
              upTo = Number(added(block, "Nats-UpTo-Sequence"));
            } else if (code !== 404) mustBeMessage(all[0]!, code, why);
            if (code !== 0) return true;
          }
          const subject = added(block, "Nats-Subject");
          last = Number(added(block, "Nats-Sequence"));
          const text = wasRelayed(block) ? RELAYED : msg.string();
          const at = Date.parse(added(block, "Nats-Time-Stamp"));
          const glimpse: Glimpse = { subject, seq: last, at, text };
          if (blobs.isReference(text, block)) glimpse.isReference = true;
          found.set(subject, glimpse);
          return false;
        },
        again(stream),
      );
      if (!more || last === 0) return upTo;
      from = last + 1;
    }
  }

  /** All of a subject from `from` on, at least up to `upTo`, which the leader had. What is gone by now is left out. */
  async function reaching(
    stream: string,
    subject: string,
    from: number,
    upTo: number,
    first = direct(stream, subject, from),
  ): Promise<Stored[]> {
    let found = await Promise.all(await first);
    const reaches = () => upTo < from || (found.at(-1)?.seq ?? 0) >= upTo;
    if (!reaches()) found = await Promise.all(await direct(stream, subject, from));
    if (!reaches()) await complete(stream, subject, (found.at(-1)?.seq ?? from - 1) + 1, upTo, found);
    return found;
  }

  /** Adds what the leader has of a subject (wildcards allowed), one by one. */
  async function complete(stream: string, subject: string, from: number, upTo: number, found: Stored[]): Promise<void> {
    for (let next = from; next <= upTo; next = found.at(-1)!.seq + 1) {
      const raw = await fromLeader(stream, { seq: next, next_by_subj: subject });
      if (!raw) return; // purged meanwhile
      found.push(await ofLeader(raw));
    }
  }

  /** What is stored on several subjects, as if it were on one (R3). */
  async function readSeveral(filter: string, from: number, fresh: boolean): Promise<Stored[]> {
    const stream = streamName(filter);
    for (let attempt = 1; ; attempt++) {
      const lasts = new Map<string, Glimpse>();
      const [leader, upTo] = await Promise.all([
        fresh ? fromLeader(stream, { last_by_subj: filter }) : undefined,
        lastsOf(subjects.each(filter), lasts),
      ]);
      const lags = leader !== undefined && leader.seq >= from && leader.seq > upTo;
      if (lags && attempt < SNAPSHOTS) continue;
      const wanted = [...lasts.values()].filter(({ seq }) => seq >= from);
      const parts = await Promise.all(wanted.map(({ subject, seq }) => reaching(stream, subject, from, seq)));
      const found = parts
        .flat()
        .filter(({ seq }) => seq <= upTo)
        .sort((a, b) => a.seq - b.seq);
      if (lags) await complete(stream, filter, Math.max(from, upTo + 1), leader.seq, found);
      return found;
    }
  }

  async function rawLast(subject: string): Promise<{ seq: number; text: string } | undefined> {
    const raw = await fromLeader(streamName(subject), { last_by_subj: subject });
    return raw && { seq: raw.seq, text: Buffer.from(raw.data ?? "", "base64").toString("utf8") };
  }

  const reader: Reader = {
    rawLast,

    async read(subject, { fromSeq = 1, fresh = false } = {}) {
      const stream = streamName(subject);
      const from = Math.max(1, fromSeq);
      if (isFilter(subject)) return readSeveral(subject, from, fresh);
      if (!fresh) return Promise.all(await direct(stream, subject, from));
      const first = direct(stream, subject, from);
      const [leader] = await Promise.all([fromLeader(stream, { last_by_subj: subject }), first]);
      return reaching(stream, subject, from, leader?.seq ?? 0, first);
    },

    async last(subject, { fresh = false } = {}) {
      if (fresh) {
        const raw = await fromLeader(streamName(subject), { last_by_subj: subject });
        return raw && ofLeader(raw);
      }
      if (isFilter(subject)) {
        const lasts = new Map<string, Glimpse>();
        await lastsOf(subjects.each(subject), lasts);
        const last = [...lasts.values()].reduce<Glimpse | undefined>((a, b) => (a && a.seq > b.seq ? a : b), undefined);
        return last?.isReference ? reader.last(last.subject) : last;
      }
      let found: Stored | Promise<Stored> | undefined;
      await directLast(subject, (msg, block) => {
        found = given(Number(added(block, "Nats-Sequence")), msg, block);
      });
      return found;
    },

    async lasts(all) {
      const found = new Map<string, Glimpse>();
      for (let from = 0; from < all.length; from += LASTS) await lastsOf(all.slice(from, from + LASTS), found);
      return found;
    },

    async headerOfLast(subject, name) {
      let found: string | undefined;
      await directLast(subject, (_msg, block) => {
        found = header(block, name);
      });
      return found;
    },

    async raw(kind, seq) {
      const raw = await fromLeader(subjects.streamName(kind), { seq });
      return raw && { subject: raw.subject, text: Buffer.from(raw.data ?? "", "base64").toString("utf8") };
    },

    async list(kind, filter) {
      const found = new Map<string, number>();
      const stream = subjects.streamName(kind);
      type Page = { state: { subjects?: Record<string, number> }; total?: number; limit?: number };
      for (let offset = 0; ; ) {
        const ask = { subjects_filter: filter, offset };
        const page = granted(
          `a listing of ${filter}`,
          await requests.api<Page>(`STREAM.INFO.${stream}`, ask, { timeoutMs: SLOW_MS, firstMs: LISTING_MS }),
        );
        const counts = Object.entries(page.state.subjects ?? {});
        for (const [subject, count] of counts) found.set(subject, count);
        offset += counts.length;
        if (counts.length === 0 || offset >= (page.total ?? 0)) return found;
      }
    },

    async count(kind, filter, fromSeq) {
      let first = 0;
      const { more } = await page(subjects.streamName(kind), filter, Math.max(1, fromSeq), 1, () => {
        first = 1;
      });
      return first + more;
    },

    async oldest(kind, filter, fromSeq) {
      const raw = await fromLeader(subjects.streamName(kind), { seq: fromSeq, next_by_subj: filter });
      return raw && { subject: raw.subject, seq: raw.seq, at: Date.parse(raw.time) };
    },

    async scan(kind, filter, fromSeq, limit) {
      const found: (Stored | Promise<Stored>)[] = [];
      const stream = subjects.streamName(kind);
      await page(stream, filter, Math.max(1, fromSeq), Math.min(BATCH, limit), (seq, msg, block) => {
        found.push(given(seq, msg, block));
      });
      return Promise.all(found);
    },

    async sequences(subject) {
      if (isFilter(subject)) {
        const parts = await Promise.all(subjects.each(subject).map((one) => reader.sequences(one)));
        return parts.flat().sort((a, b) => a - b);
      }
      const stream = streamName(subject);
      const last = (await fromLeader(stream, { last_by_subj: subject }))?.seq ?? 0;
      if (last === 0) return [];
      // A command is alone on its subject.
      if (subjects.streamOf(subject) === "COMMANDS") return [last];
      const found: number[] = [];
      await pages(stream, subject, 1, (seq) => {
        if (seq <= last) found.push(seq);
      });
      for (let next = (found.at(-1) ?? 0) + 1; next <= last; ) {
        const raw = await fromLeader(stream, { seq: next, next_by_subj: subject });
        if (!raw) break;
        found.push(raw.seq);
        next = raw.seq + 1;
      }
      return found;
    },
  };
  return reader;
}
