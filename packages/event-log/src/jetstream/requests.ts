import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { LogRefusedError, LogUnavailableError } from "@stepstream/contracts";
import { headerBlock, statusOfAnswer } from "./incoming.ts";
import type { Link } from "./link.ts";

/**
 * Asks the server. nats.js makes a subscription for each question with more than one answer; here
 * one subscription serves them all, which makes a batch of direct gets cost one message out.
 *
 * Q1. Every promise settles: by the last answer, the time-out, or the cut of the connection.
 * Q2. The time-out is one of silence: it starts anew with every part of an answer.
 *
 * Checked elsewhere:
 *   Q1  test/conformance/jetstream.test.ts: fails after its time-out where the server stays silent
 *   Q2  test/conformance/jetstream.test.ts: waits as long as they come, each within the time-out
 */
export interface Requests {
  /** One question; `onPart` is given each part of the answer and tells whether it was the last. */
  many(subject: string, body: string, onPart: (msg: Msg) => boolean, options?: AskOptions): Promise<void>;
  /** One question to the JetStream API, answered by one JSON object. */
  api<T>(name: string, body?: unknown, options?: AskOptions): Promise<T | ApiFault>;
  stop(): void;
}

export interface AskOptions {
  headers?: MsgHdrs;
  /** Longest silence. Default: that of the connection, 5 s. */
  timeoutMs?: number;
}

export interface ApiFault {
  fault: { code: number; httpCode: number; why: string };
}

interface Open {
  what: string;
  deadline: number;
  timeoutMs: number;
  onPart(msg: Msg): boolean;
  resolve(): void;
  reject(error: Error): void;
}

export function createRequests(link: Link, defaultTimeoutMs: number): Requests {
  const { nc, clock, callbacks } = link;
  const inbox = `${link.newInbox()}.`;
  const open = new Map<string, Open>();
  let next = 0;

  const answers = nc.subscribe(`${inbox}*`, {
    callback: (denied, msg) => {
      if (denied) lose(denied.message);
      else callbacks.call("reading an answer", onAnswer, msg);
    },
  });

  function onAnswer(msg: Msg): void {
    const key = msg.subject.slice(inbox.length);
    const one = open.get(key);
    if (!one) return;
    one.deadline = clock.now() + one.timeoutMs;
    try {
      if (msg.data.length === 0 && statusOfAnswer(headerBlock(msg)).code === 503)
        throw new LogUnavailableError(one.what, "nobody answers there (is JetStream on, is the stream there?)");
      if (!one.onPart(msg)) return;
      open.delete(key);
      one.resolve();
    } catch (error) {
      open.delete(key);
      one.reject(error as Error);
    }
  }

  function lose(why: string): void {
    const lost = [...open.values()];
    open.clear();
    for (const one of lost) one.reject(new LogUnavailableError(one.what, why));
  }
  const down = link.onDown(lose);
  const ticks = link.everyTick((now, lateMs) => {
    if (lateMs > 1_000) return;
    for (const [key, one] of open) {
      if (one.deadline > now) continue;
      open.delete(key);
      one.reject(new LogUnavailableError(one.what, `none within ${one.timeoutMs} ms`));
    }
  });

  function many(subject: string, body: string, onPart: (msg: Msg) => boolean, options: AskOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const what = `a request on ${subject}`;
      if (link.dead()) return reject(new LogUnavailableError(what, "there is no connection at present"));
      const key = (next++).toString(36);
      const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
      try {
        nc.publish(subject, body, {
          reply: inbox + key,
          ...(options.headers ? { headers: options.headers } : {}),
        });
      } catch (cause) {
        return reject(new LogRefusedError(what, 0, (cause as Error).message));
      }
      open.set(key, { what, deadline: clock.now() + timeoutMs, timeoutMs, onPart, resolve, reject });
    });
  }

  return {
    many,
    async api<T>(name: string, body?: unknown, options?: AskOptions) {
      let answer: any;
      const read = (msg: Msg) => {
        answer = msg.json();
        return true;
      };
      await many(`$JS.API.${name}`, body === undefined ? "" : JSON.stringify(body), read, options);
      if (answer.error)
        return {
          fault: {
            code: answer.error.err_code ?? 0,
            httpCode: answer.error.code ?? 0,
            why: answer.error.description ?? "no reason given",
          },
        };
      return answer as T;
    },
    stop() {
      down.stop();
      ticks.stop();
      if (!nc.isClosed()) answers.unsubscribe();
    },
  };
}

export function isFault(answer: unknown): answer is ApiFault {
  return typeof answer === "object" && answer !== null && "fault" in answer;
}

/** @throws {LogRefusedError} If the server said no. */
export function granted<T>(what: string, answer: T | ApiFault): T {
  if (isFault(answer)) throw new LogRefusedError(what, answer.fault.code, answer.fault.why);
  return answer;
}

/** Codes of the JetStream API that are answers, not faults. */
export const API = {
  consumerNotFound: 10014,
  streamNotFound: 10059,
  noMessage: 10037,
  sequenceNotFound: 10043,
  streamNameInUse: 10058,
} as const;
