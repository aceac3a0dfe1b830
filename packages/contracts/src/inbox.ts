import { decode } from "./codec.ts";
import { MalformedMessageError } from "./errors.ts";
import { InboxMessage } from "./messages.ts";
import { type Sender, senderOf } from "./subjects.ts";

/**
 * Who may send what to a run's inbox. Permissions of NATS see to it that a worker publishes on the subjects of workers only;
 * that what it publishes there is a worker's is checked by whoever reads it.
 *
 * A run's client starts it and asks it for things. A parent is the client of its children.
 */
export const SENDER_OF: Readonly<Record<InboxMessage["type"], Sender>> = {
  RunStarted: "client",
  SignalReceived: "client",
  UpdateRequested: "client",
  CancelRequested: "client",
  TerminateRequested: "client",
  StepCompleted: "worker",
  StepFailed: "worker",
  StepCancelled: "worker",
  RetryLater: "worker",
  StepStartedTwice: "worker",
  TimerFired: "coordinator",
  SlotTimedOut: "coordinator",
  SlotAbandoned: "coordinator",
  ChildEnded: "coordinator",
};

/**
 * Reads a message of an inbox.
 *
 * @param subject - On which it is stored.
 * @param where - What is being read, for the error. Default: the subject.
 * @throws {MalformedMessageError} As `decode` does; or the message is not one that its sender may send.
 */
export function decodeInbox(subject: string, text: string, where = subject): InboxMessage {
  const message = decode(InboxMessage, text, where);
  if (!isFromItsSender(subject, message))
    throw new MalformedMessageError(where, "type", `${message.type} is not for a ${senderOf(subject)} to send`);
  return message;
}

/** Is it on the subject of the role that may send it? */
export function isFromItsSender(subject: string, message: InboxMessage): boolean {
  return senderOf(subject) === SENDER_OF[message.type];
}

/**
 * The inbox of a run, from its start on: what is before that was left by a run that had the id before, or came late for it.
 *
 * @returns All of it, if nothing in it is a start.
 */
export function fromStart<T extends { readonly subject: string; readonly text: string }>(
  inbox: readonly T[],
): readonly T[] {
  const at = inbox.findIndex(isStart);
  return at > 0 ? inbox.slice(at) : inbox;
}

/** Does it look like the start of a run? It is cheaper to look than to read. */
export function isStart({ subject, text }: { readonly subject: string; readonly text: string }): boolean {
  return senderOf(subject) === "client" && /"type"\s*:\s*"RunStarted"/.test(text);
}
