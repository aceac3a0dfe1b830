import {
  AttemptRecord,
  decode,
  decodeInbox,
  type InboxMessage,
  type RunStep,
  type Sender,
} from "@stepstream/contracts";
import type { Stored } from "@stepstream/event-log";
import { explained, type Recorded, type Standing, settles, standing } from "../attempt/standing.ts";
import type { Deps } from "./deps.ts";
import type { Held } from "./held.ts";
import { retrying } from "./retrying.ts";

/** May another worker have had the slot's command before? */
export function mayHaveBeenTaken(deps: Deps, held: Held, command: RunStep): boolean {
  if (held.delivery.deliveries > 1 || command.attempt > 1 || command.republished === true) return true;
  return held.isSuspect() || mayBeForgotten(deps, held);
}

/**
 * What the log knows of a slot whose command another worker may have had.
 *
 * @returns undefined if there is nothing left to do for this command.
 */
export async function lookUp(deps: Deps, held: Held, command: RunStep): Promise<Standing | undefined> {
  const { deliveries } = held.delivery;
  held.asking();
  // Records first: who writes a record and then the inbox is seen in one of the two.
  const last = await lastRecord(deps, command);
  const isExplained = () => explained(command, deliveries, last?.record);
  const counted = deliveries === 1 ? !mayBeForgotten(deps, held) : isAllCounted(deps, held) && isExplained();
  const sure = counted && !command.republished && !held.isSuspect();
  if (!sure && (await isSettled(deps, command))) return undefined;
  return standing(command, deliveries, last ? [last] : [], deps.log.serverNow());
}

/** An answer that is older, in ack waits, may have been overtaken by another worker. */
const STALE = 1 / 4;
/** So often it is asked again because the answer took long: a log that is always so slow must not keep the step for ever. */
const SLOW_ANSWERS_MAX = 3;

/**
 * Makes sure, right before a handler begins, that its slot is still open and no other worker has recorded an attempt at it:
 * what was looked up before may have been overtaken, while the answer was on its way or the process was frozen (H4).
 *
 * @returns "moved": another worker has recorded something.
 */
export async function stillOpen(deps: Deps, held: Held, command: RunStep, lastSeq: number) {
  for (let slow = 0; isStale(deps, held) && slow < SLOW_ANSWERS_MAX; slow++) {
    held.asking();
    const last = await lastRecord(deps, command);
    if ((last?.seq ?? 0) !== lastSeq) return "moved";
    if (await isSettled(deps, command)) return "settled";
    // A gap is no fault of the log.
    if (held.age === Number.POSITIVE_INFINITY) slow = -1;
  }
  return "open";
}

/** May another worker have done something since it was last known that the slot is open? */
export function isStale({ pulse, clock }: Deps, held: Held): boolean {
  held.suspectFrom(pulse.overdueMs(clock.now()));
  return held.age > STALE;
}

/** So far may the clocks of two servers of a cluster be apart, and the time of the server as it is known here behind. */
const CLOCKS_APART_MS = 2_000;

/**
 * Does the delivery count hold every delivery? A single server that is killed forgets its last ones, and whoever got them
 * may still be at work. It takes the connections of all workers with it: so of what was stored since this one came about,
 * nothing is forgotten.
 */
function isAllCounted({ connectedAtMs }: Deps, { delivery }: Held): boolean {
  return delivery.at > connectedAtMs() + CLOCKS_APART_MS;
}

/**
 * A first delivery may be a second one that the server has forgotten the first of: of a command that is older than the
 * connection. Those come first after it is back, and so only for a while after a connection came about: a backlog of a wide
 * run costs a look at its whole inbox for each. Where clocks are apart by more than the server was away, one is missed:
 * then a slot is started a second time, which guarantee 4 allows.
 */
function mayBeForgotten({ connectedAtMs }: Deps, { delivery, takenAt }: Held): boolean {
  const since = connectedAtMs();
  return delivery.at <= since && takenAt < since + FORGOTTEN_FIRST_MS;
}

/** So long after a connection has come about, a first delivery is not trusted. */
const FORGOTTEN_FIRST_MS = 10_000;

/** Does the run's inbox have an outcome of the slot, or anything else that makes this command void? */
export async function isSettled(deps: Deps, command: RunStep): Promise<boolean> {
  return (await outcomeOf(deps, command)) !== undefined;
}

/** What makes this command void, the first of several. */
export async function outcomeOf(deps: Deps, command: RunStep): Promise<InboxMessage | undefined> {
  const { log } = deps;
  const options = { fromSeq: command.after + 1, fresh: true };
  // Clients have no say in it.
  const readOf = (sender: Sender) => log.read(log.subjects.inboxFrom(sender, command.run), options);
  const read = () => Promise.all([readOf("worker"), readOf("coordinator")]);
  const messages = (await retrying(deps, "read an inbox", read, command.run)).flat().sort((a, b) => a.seq - b.seq);
  // Most of a wide run's inbox is about other slots: parse only what names this one.
  const mark = `"slot":${command.slot}`;
  for (const stored of messages) {
    if (!stored.text.includes(mark)) continue;
    try {
      const message = decodeInbox(stored.subject, stored.text);
      if (settles(message, command)) return message;
    } catch {
      // Not ours to bury.
    }
  }
  return undefined;
}

async function lastRecord(deps: Deps, command: RunStep): Promise<Recorded | undefined> {
  const { log } = deps;
  const subject = log.subjects.attempts(command.run, command.slot);
  const read = () => log.last(subject, { fresh: true });
  const last = await retrying(deps, "read the records of attempts", read, command.run);
  return last && recorded(last);
}

function recorded({ seq, at, text, subject }: Stored): Recorded {
  try {
    return { seq, at, record: decode(AttemptRecord, text, subject) };
  } catch {
    return { seq, at, record: undefined };
  }
}
