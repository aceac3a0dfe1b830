import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { LogRefusedError, LogUnavailableError } from "@stepstream/contracts";
import type { Denial } from "../port.ts";
import { API, meaningOf, type ServerError, told } from "./answers.ts";
import { headerBlock, statusOfAnswer } from "./incoming.ts";
import type { Keeper } from "./keeper.ts";
import type { Link } from "./link.ts";
import { deniedError, permissionNeeded } from "./permissions.ts";
import { Answered, LATE_MS, refusedWaitMs, type Sent } from "./tries.ts";

/**
 * Asks the server. nats.js makes a subscription for each question with more than one answer; here
 * one subscription serves them all, which makes a batch of direct gets cost one message out.
 *
 * Q1. Every promise settles: by the last answer, the time-out, or the cut of the connection.
 * Q2. The time-out is one of silence: it starts anew with every part of an answer.
 * Q3. A question that may be asked twice (`again`) is: where the server is unavailable for now, and where the question seems
 *     lost (see tries.ts). The time-out is that of all tries together. Parts of answers to different tries never mix.
 *
 * Checked elsewhere:
 *   Q1  test/conformance/jetstream.test.ts: fails after its time-out where the server stays silent
 *   Q2  test/conformance/jetstream.test.ts: waits as long as they come, each within the time-out
 *   Q3  test/conformance/answers.test.ts: a read
 */
export interface Requests {
  /** One question; `onPart` is given each part of the answer and tells whether it was the last. */
  many(subject: string, body: string, onPart: (msg: Msg) => boolean, options?: ManyOptions): Promise<void>;
  /** One question to the JetStream API, answered by one JSON object. All that are asked may be asked twice. */
  api<T>(name: string, body?: unknown, options?: AskOptions): Promise<T | ApiFault>;
  stop(): void;
}

interface AskOptions {
  headers?: MsgHdrs;
  /** Longest silence. Default: that of the connection, 5 s. */
  timeoutMs?: number;
  /** Silence after which it may be asked again. Default 500. */
  firstMs?: number;
  /** That the stream does not exist is the answer, and not a reason to look after it. */
  asIs?: boolean;
}

interface ManyOptions extends AskOptions {
  /** It may be asked twice; of what is asked under the same name, the server answers one after the other. */
  again?: string;
  /** Something is to be changed: without an answer it is unknown whether it is. Default false. */
  changes?: boolean;
}

export interface ApiFault {
  fault: ServerError;
}

/** Thrown by `onPart`: the server could not answer for now. */
export class Unavailable extends Error {}

interface Open extends Sent {
  what: string;
  subject: string;
  body: string;
  headers: MsgHdrs | undefined;
  deadline: number;
  timeoutMs: number;
  firstMs: number;
  /** Of those that are asked again. */
  answered: Answered | undefined;
  /** One for each try. */
  keys: string[];
  /** The one that is being answered: the others do not count any more. */
  chosen: string | undefined;
  againAt: number | undefined;
  why: string | undefined;
  changes: boolean;
  onPart(msg: Msg): boolean;
  resolve(): void;
  reject(error: Error): void;
}

export function createRequests(
  link: Link,
  defaultTimeoutMs: number,
  keeper?: Pick<Keeper, "suspect" | "whyMissing">,
): Requests {
  const { nc, clock, callbacks } = link;
  const inbox = `${link.newInbox()}.`;
  const all = new Set<Open>();
  const byKey = new Map<string, Open>();
  const groups = new Map<string, Answered>();
  let next = 0;

  const answers = link.subscribe(
    `${inbox}*`,
    (msg) => callbacks.call("reading an answer", onAnswer, msg),
    () => {
      for (const one of [...all]) reject(one, noReplies(one.what, one.changes));
    },
  );
  const repliesDenied: Denial = { operation: "subscribe", subject: `${inbox}*`, needed: permissionNeeded(inbox) };

  function noReplies(what: string, changes: boolean): Error {
    const error = deniedError(what, repliesDenied, "read");
    return changes ? new LogUnavailableError(what, error.message, { cause: error }) : error;
  }

  function onAnswer(msg: Msg): void {
    const key = msg.subject.slice(inbox.length);
    const one = byKey.get(key);
    if (!one) return;
    try {
      if (msg.data.length === 0 && statusOfAnswer(headerBlock(msg)).code === 503) {
        suspect(one.what, one.subject, one.changes);
        const why = keeper?.whyMissing(one.subject);
        throw new Unavailable(why ?? "nobody answers there (is JetStream on, is the stream there?)");
      }
      const isLast = one.onPart(msg);
      const now = clock.now();
      if (one.chosen === undefined) {
        one.chosen = key;
        for (const other of one.keys) if (other !== key) byKey.delete(other);
        one.answered?.note(key === one.keys.at(-1) ? one.number : 0, now);
      }
      one.deadline = now + one.timeoutMs;
      if (!isLast) return;
      forget(one);
      one.resolve();
    } catch (error) {
      if (error instanceof Unavailable) return onUnavailable(one, error.message);
      reject(one, error as Error);
    }
  }

  /** @throws {LogRefusedError} The stream is gone, and is not made again. */
  function suspect(what: string, subject: string, changes: boolean): void {
    const refusal = subject.startsWith("$JS.API.") && keeper?.suspect(what, subject, changes ? "setup" : "read");
    if (refusal) throw refusal;
  }

  function onUnavailable(one: Open, why: string): void {
    // What has been answered in part cannot be asked again: its beginning was used.
    if (!one.answered || one.chosen !== undefined) return fail(one, why);
    one.why = why;
    one.againAt = clock.now() + refusedWaitMs(one.tries);
  }

  function forget(one: Open): void {
    all.delete(one);
    for (const key of one.keys) byKey.delete(key);
  }

  function fail(one: Open, why: string): void {
    reject(one, new LogUnavailableError(one.what, why, { outcome: one.changes ? "unknown" : "not stored" }));
  }

  function reject(one: Open, error: Error): void {
    forget(one);
    one.reject(error);
  }

  const down = link.onDown((why) => {
    for (const one of [...all]) fail(one, why);
  });
  const denials = link.onDenied((denial) => {
    const its = denial.operation === "publish" ? [...all].filter(({ subject }) => subject === denial.subject) : [];
    for (const one of its) reject(one, deniedError(one.what, denial, one.changes ? "setup" : "read"));
    return its.length > 0;
  });
  const ticks = link.everyTick((now, lateMs) => {
    if (lateMs > 1_000) return;
    for (const one of [...all]) {
      if (one.deadline <= now) {
        const silence = `none within ${one.timeoutMs} ms`;
        fail(one, one.why === undefined ? silence : `${silence}; the last answer was: ${one.why}`);
      } else if (!one.answered || one.chosen !== undefined) continue;
      else if (one.againAt !== undefined ? one.againAt <= now : lateMs <= LATE_MS && one.answered.seemsLost(one, now))
        send(one, now);
    }
  });

  function send(one: Open, now: number): void {
    const key = (next++).toString(36);
    one.number = next;
    one.sentAt = now;
    one.tries++;
    one.againAt = undefined;
    const { subject, body, headers } = one;
    nc.publish(subject, body, { reply: inbox + key, ...(headers ? { headers } : {}) });
    one.keys.push(key);
    byKey.set(key, one);
  }

  function groupOf(name: string | undefined): Answered | undefined {
    if (name === undefined) return undefined;
    const known = groups.get(name);
    if (known) return known;
    const group = new Answered();
    groups.set(name, group);
    return group;
  }

  function many(subject: string, body: string, onPart: (msg: Msg) => boolean, options: ManyOptions = {}) {
    return new Promise<void>((resolve, reject) => {
      const what = `a request on ${subject}`;
      if (link.dead())
        return reject(new LogUnavailableError(what, "there is no connection at present", { outcome: "not stored" }));
      const { headers, timeoutMs = defaultTimeoutMs, firstMs = 500, again, changes = false } = options;
      if (!answers.active) return reject(deniedError(what, repliesDenied, changes ? "setup" : "read"));
      const now = clock.now();
      const one: Open = {
        ...{ what, subject, body, headers, timeoutMs, firstMs, changes, onPart, resolve, reject },
        ...{ number: 0, sentAt: now, tries: 0, deadline: now + timeoutMs, answered: groupOf(again) },
        ...{ keys: [], chosen: undefined, againAt: undefined, why: undefined },
      };
      try {
        send(one, now);
      } catch (cause) {
        return reject(new LogRefusedError(what, 0, (cause as Error).message, changes ? "write" : "read"));
      }
      all.add(one);
    });
  }

  return {
    many,
    async api<T>(name: string, body?: unknown, options?: AskOptions) {
      let answer: any;
      const read = (msg: Msg) => {
        answer = msg.json();
        const fault = faultOf(answer);
        if (fault && ["unavailable", "unknown"].includes(meaningOf(fault))) throw new Unavailable(told(fault));
        if (keeper && fault?.code === API.streamNotFound && !options?.asIs) {
          suspect(`a request on $JS.API.${name}`, `$JS.API.${name}`, changes);
          throw new Unavailable(keeper.whyMissing(`$JS.API.${name}`) ?? told(fault));
        }
        return true;
      };
      const text = body === undefined ? "" : JSON.stringify(body);
      const changes = !READS.test(name);
      await many(`$JS.API.${name}`, text, read, { ...options, again: name, changes });
      const fault = faultOf(answer);
      return fault ? { fault } : (answer as T);
    },
    stop() {
      down.stop();
      denials.stop();
      ticks.stop();
      answers.end();
    },
  };
}

const READS = /^(STREAM|CONSUMER)\.(INFO|LIST|NAMES|MSG\.GET)\b/;

function faultOf({ error }: { error?: { err_code?: number; code?: number; description?: string } }) {
  if (!error) return undefined;
  return { code: error.err_code ?? 0, httpCode: error.code ?? 0, why: error.description ?? "no reason given" };
}

export function isFault(answer: unknown): answer is ApiFault {
  return typeof answer === "object" && answer !== null && "fault" in answer;
}

/**
 * @param kind - What was asked for.
 * @throws {LogRefusedError} If the server said no.
 */
export function granted<T>(what: string, answer: T | ApiFault, kind: "read" | "removal" | "setup" = "read"): T {
  if (isFault(answer)) throw new LogRefusedError(what, answer.fault.code, answer.fault.why, kind);
  return answer;
}
