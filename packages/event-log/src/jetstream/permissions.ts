import { PermissionDeniedError, type RefusedKind, senderOf } from "@stepstream/contracts";
import type { Denial } from "../port.ts";

/**
 * What nats-server did not permit, as the permission that is needed.
 *
 * Pure. One permission stands for all runs, deliveries and inboxes: so their number bounds what is reported.
 */
export function permissionNeeded(subject: string): string {
  const t = subject.split(".");
  if (t[0] === "$JS") return t[1] === "ACK" ? ofAck(t) : ofApi(t);
  if (t[0]!.startsWith("_")) return ofReplies(t);
  // Of an inbox a role may have its own subjects alone.
  if (t[1] === "inbox" && senderOf(subject)) return `${t[0]}.inbox.*.*.${senderOf(subject)}`;
  // <ns>.<kind>.…: those of commands name the step, for which a worker may be the only one.
  const kept = t[1] === "command" ? 3 : 2;
  return t.length > kept ? `${t.slice(0, kept).join(".")}.>` : subject;
}

/** An inbox for replies: the prefix that the connection was given, and then random tokens. */
function ofReplies(t: readonly string[]): string {
  const random = t.findIndex((token) => /^[A-Za-z0-9]{22}$/.test(token));
  return `${t.slice(0, Math.max(1, random)).join(".")}.>`;
}

/** `$JS.ACK.<stream>.<consumer>.…`, or with a domain and an account's hash before the stream. */
function ofAck(t: readonly string[]): string {
  const stream = t.length >= 11 ? 4 : 2;
  return `${t.slice(0, ofConsumer(t, stream)).join(".")}.>`;
}

/** Requests whose subjects continue behind the stream, with the position of the stream. */
const DEEP: readonly (readonly [prefix: string, stream: number])[] = [
  ["$JS.API.DIRECT.GET.", 4],
  ["$JS.API.CONSUMER.CREATE.", 4],
  ["$JS.API.CONSUMER.MSG.NEXT.", 5],
  ["$JS.API.CONSUMER.INFO.", 4],
];

function ofApi(t: readonly string[]): string {
  const subject = t.join(".");
  const stream = DEEP.find(([prefix]) => subject.startsWith(prefix))?.[1];
  if (stream === undefined) return subject;
  const kept = stream === 4 && t[2] === "DIRECT" ? stream + 1 : ofConsumer(t, stream);
  return t.length > kept ? `${t.slice(0, kept).join(".")}.>` : subject;
}

/** Up to the consumer, where that is a step's. All partitions are consumed by the same processes. */
function ofConsumer(t: readonly string[], stream: number): number {
  return t[stream + 1]?.startsWith("step-") ? stream + 2 : stream + 1;
}

/** An error for a call that was denied. */
export function deniedError(what: string, denial: Denial, kind?: RefusedKind): PermissionDeniedError {
  return new PermissionDeniedError(what, denial, kind);
}

/** An error for what no call waits for: an acknowledgement, a pull, a subscription, a broadcast. */
export function errorOfDenial(denial: Denial): PermissionDeniedError {
  const { operation, subject } = denial;
  if (operation === "subscribe") return new PermissionDeniedError(`a subscription to ${subject}`, denial, "listen");
  if (subject.startsWith("$JS.ACK."))
    return new PermissionDeniedError("the acknowledgement of a message", denial, "ack");
  if (subject.startsWith("$JS.API.CONSUMER.MSG.NEXT."))
    return new PermissionDeniedError("a request for messages", denial, "pull");
  return new PermissionDeniedError(`a message on ${subject}`, denial, "hint");
}
