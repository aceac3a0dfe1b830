import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { LogRefusedError, LogUnavailableError, WrongLastSequenceError } from "@stepstream/contracts";
import type { Appended, AppendOptions, Denial } from "../port.ts";
import { errorOfAppend, isOnePerSubject, meaningOf, type ServerError, told, UNREADABLE } from "./answers.ts";
import { clean, encoded } from "./headers.ts";
import type { Keeper } from "./keeper.ts";
import type { Link } from "./link.ts";
import { deniedError, permissionNeeded } from "./permissions.ts";
import { Answered, LATE_MS, refusedWaitMs, type Sent } from "./tries.ts";

/**
 * Publishes to a stream and waits for the acknowledgement. The hot path of everything: `js.publish()`
 * costs about 80 µs of CPU each (a request with a timer and a stack trace of its own), this 12.
 *
 * P1. One subscription for all acknowledgements; each publish has a number, and its reply subject ends in it.
 * P2. Every promise settles: by its acknowledgement, its time-out, or the cut of the connection.
 * P3. "It may be stored" (LogUnavailableError) and "it is not" (all others) are never mixed up.
 * P4. An acknowledgement that comes after its promise has settled is dropped.
 * P5. What was surely not stored, because the server was unavailable, is sent again until its time-out. So is what has no
 *     answer and seems lost (see tries.ts), unless it must not be stored twice (`ifLost`).
 * P6. Of several copies any may be stored. The fence's answer to one then says nothing of the others: what is stored counts.
 *
 * Checked elsewhere:
 *   P1 P4  test/conformance/jetstream.test.ts: fails after its time-out, and what comes later answers nothing else
 *   P2  test/conformance/jetstream.test.ts: fails with the cut, at once, and is a duplicate the second time
 *   P3  answers.test.ts: is "%s" with code %i
 *   P5 P6  test/conformance/answers.test.ts: an append
 */
export interface Publisher {
  publish(subject: string, data: string | Uint8Array, options?: PublishOptions, checks?: Checks): Promise<Appended>;
  stop(): void;
}

/** What has to be looked up of an answer before it counts. */
interface Checks {
  /** What the append comes to if the server takes it for a repeat. Default: that it was stored, as a duplicate. */
  onDuplicate?(appended: Appended): Promise<Appended>;
  /**
   * Whether an earlier copy is what the fence does not let pass. "pending": neither that nor another message is stored yet.
   * undefined: another is. Default: undefined.
   */
  onMoved?(): Promise<Appended | "pending" | undefined>;
}

export interface PublishOptions extends AppendOptions {
  /** More headers, as lines that end in CRLF. */
  lines?: string;
}

interface Pending extends Sent {
  key: string;
  subject: string;
  bytes: Uint8Array;
  headers: MsgHdrs | undefined;
  expected: number | undefined;
  ifLost: NonNullable<AppendOptions["ifLost"]>;
  checks: Checks | undefined;
  /** How far its stream has come. */
  stream: Answered;
  deadline: number;
  /** To be sent again then; undefined while an answer is waited for. */
  againAt: number | undefined;
  /** A copy has had no answer, or none that says whether it is stored. */
  unsure: boolean;
  /** Why there is no outcome yet. */
  why: string | undefined;
  /** What is stored is being looked up. */
  checking: boolean;
  resolve(appended: Appended | Promise<Appended>): void;
  reject(error: Error): void;
}

export function createPublisher(
  link: Link,
  timeoutMs: number,
  keeper?: Pick<Keeper, "suspect" | "whyMissing">,
): Publisher {
  const { nc, clock, callbacks } = link;
  const inbox = `${link.newInbox()}.`;
  const pending = new Map<string, Pending>();
  /** By the second token of the subject, which is of one stream: see `kindOf`. */
  const streams = new Map<number, Answered>();
  let next = 0;
  let sent = 0;

  const repliesDenied: Denial = { operation: "subscribe", subject: `${inbox}*`, needed: permissionNeeded(inbox) };
  const acks = link.subscribe(
    `${inbox}*`,
    (msg) => callbacks.call("reading an acknowledgement", onAck, msg),
    () => {
      for (const one of [...pending.values()])
        failDenied(one, deniedError(`the acknowledgement of an append to ${one.subject}`, repliesDenied, "read"));
    },
  );

  function onAck(msg: Msg): void {
    const key = msg.subject.slice(inbox.length);
    const one = pending.get(key);
    if (!one) return;
    const answer = readAck(msg);
    if (!("seq" in answer)) return onError(one, answer);
    // What is answered at once, as a repeat is, does not tell of what the stream has stored before it.
    one.stream.note(answer.duplicate ? 0 : one.number, clock.now());
    pending.delete(key);
    one.resolve(answer.duplicate ? (one.checks?.onDuplicate?.(answer) ?? answer) : answer);
  }

  function onError(one: Pending, error: ServerError): void {
    const meaning = meaningOf(error);
    if (meaning === "unavailable" || meaning === "unknown") {
      const gone = error === NO_STREAM && keeper?.suspect(`an append to ${one.subject}`, one.subject, "write");
      if (gone && !one.unsure) {
        pending.delete(one.key);
        return one.reject(gone);
      }
      one.unsure ||= meaning === "unknown";
      one.why = (error === NO_STREAM && keeper?.whyMissing(one.subject)) || told(error);
      if (meaning === "unknown" && one.ifLost !== "resend") return fail(one, one.why);
      one.againAt = clock.now() + refusedWaitMs(one.tries);
      return;
    }
    // Of the one copy there is, or what holds for every copy.
    if (!one.unsure || isOnePerSubject(error)) {
      pending.delete(one.key);
      return one.reject(errorOfAppend(one.subject, one.expected, error));
    }
    if (meaning === "moved") return callbacks.call("looking for an append", lookFor, one);
    fail(one, `its answer was lost, and a repeat was refused: ${told(error)}`);
  }

  async function lookFor(one: Pending): Promise<void> {
    if (one.checking) return;
    one.checking = true;
    const found = await (one.checks?.onMoved?.() ?? Promise.resolve(undefined)).catch(() => "pending" as const);
    one.checking = false;
    if (pending.get(one.key) !== one) return;
    if (found === "pending") {
      one.why = "another copy of it is being stored";
      one.againAt = clock.now() + refusedWaitMs(one.tries);
      return;
    }
    pending.delete(one.key);
    if (found) one.resolve(found);
    else one.reject(new WrongLastSequenceError(one.subject, one.expected ?? 0));
  }

  function fail(one: Pending, why: string, cause?: Error): void {
    pending.delete(one.key);
    const outcome = one.unsure || one.againAt === undefined ? "unknown" : "not stored";
    one.reject(new LogUnavailableError(`an append to ${one.subject}`, why, { outcome, ...(cause && { cause }) }));
  }

  function failDenied(one: Pending, cause: Error): void {
    fail(one, cause.message, cause);
  }

  function lose(why: string): void {
    for (const one of [...pending.values()]) fail(one, why);
  }
  const down = link.onDown(lose);
  const denials = link.onDenied((denial) => {
    if (denial.operation !== "publish") return false;
    const its = [...pending.values()].filter(({ subject }) => subject === denial.subject);
    for (const one of its) {
      const error = deniedError(`an append to ${one.subject}`, denial);
      // An earlier copy was permitted.
      if (one.unsure) failDenied(one, error);
      else {
        pending.delete(one.key);
        one.reject(error);
      }
    }
    return its.length > 0;
  });

  // All wait equally long, so the oldest are the first in the map.
  const ticks = link.everyTick((now, lateMs) => {
    // Acknowledgements may lie unread behind a stall of our own: let the next tick judge.
    if (lateMs > 1_000) return;
    for (const one of pending.values()) {
      if (one.deadline <= now) {
        fail(one, one.why ?? `none within ${timeoutMs} ms`);
        continue;
      }
      if (one.againAt !== undefined) {
        if (one.againAt <= now) send(one, now);
        continue;
      }
      if (one.ifLost === "wait" || lateMs > LATE_MS || !one.stream.seemsLost(one, now)) continue;
      one.unsure = true;
      if (one.ifLost === "resend") send(one, now);
      else fail(one, `none within ${now - one.sentAt} ms`);
    }
  });

  function streamOf(subject: string): Answered {
    const kind = kindOf(subject);
    let stream = streams.get(kind);
    if (!stream) {
      stream = new Answered();
      streams.set(kind, stream);
    }
    return stream;
  }

  function send(one: Pending, now: number): void {
    one.number = ++sent;
    one.sentAt = now;
    one.tries++;
    one.againAt = undefined;
    const { key, subject, bytes, headers } = one;
    const reply = inbox + key;
    nc.publish(subject, bytes, headers ? { reply, headers } : { reply });
  }

  return {
    publish(subject, data, options, checks) {
      return new Promise<Appended>((resolve, reject) => {
        const what = `an append to ${subject}`;
        if (link.dead())
          return reject(new LogUnavailableError(what, "there is no connection at present", { outcome: "not stored" }));
        if (!acks.active) return reject(deniedError(what, repliesDenied));
        const now = clock.now();
        const expected = options?.expectLast;
        const one: Pending = {
          key: (next++).toString(36),
          subject,
          // Buffer.from takes short texts from a pool; nats.js would allocate each.
          bytes: typeof data === "string" ? Buffer.from(data) : data,
          headers: options && headersFor(options),
          expected,
          ifLost: options?.ifLost ?? (options?.id === undefined && expected === undefined ? "wait" : "resend"),
          checks,
          stream: streamOf(subject),
          number: 0,
          sentAt: now,
          tries: 0,
          deadline: now + timeoutMs,
          againAt: undefined,
          unsure: false,
          why: undefined,
          checking: false,
          resolve,
          reject,
        };
        try {
          send(one, now);
        } catch (cause) {
          return reject(new LogRefusedError(what, 0, (cause as Error).message));
        }
        pending.set(one.key, one);
      });
    },
    stop() {
      down.stop();
      denials.stop();
      ticks.stop();
      acks.end();
    },
  };
}

/** Tells the kinds of our subjects apart by their first letter and length: no text is made for each append. */
function kindOf(subject: string): number {
  const from = subject.indexOf(".") + 1;
  return subject.charCodeAt(from) * 256 + subject.indexOf(".", from) - from;
}

function headersFor({ expectLast, id, lines }: PublishOptions): MsgHdrs | undefined {
  if (expectLast === undefined && id === undefined && lines === undefined) return undefined;
  let block = "NATS/1.0\r\n";
  if (expectLast !== undefined) block += `Nats-Expected-Last-Subject-Sequence: ${expectLast}\r\n`;
  if (id !== undefined) block += `Nats-Msg-Id: ${clean(id)}\r\n`;
  return encoded(`${block}${lines ?? ""}\r\n`);
}

const NO_STREAM: ServerError = {
  code: 0,
  httpCode: 503,
  why: "no stream listens to it (is JetStream on, is the stream there?)",
};

/** Exported for its test. */
export function readAck(msg: Pick<Msg, "data" | "headers" | "string">): Appended | ServerError {
  const unreadable = (why: string): ServerError => ({ code: UNREADABLE, httpCode: 0, why });
  if (msg.data.length === 0) return NO_STREAM;
  let ack: { seq?: number; duplicate?: boolean; error?: { err_code?: number; code?: number; description?: string } };
  try {
    ack = JSON.parse(msg.string());
  } catch {
    return unreadable("the acknowledgement cannot be read");
  }
  const { error } = ack;
  if (error)
    return { code: error.err_code ?? 0, httpCode: error.code ?? 0, why: error.description ?? "no reason given" };
  if (typeof ack.seq !== "number") return unreadable("the acknowledgement names no sequence");
  return { seq: ack.seq, duplicate: ack.duplicate === true };
}
