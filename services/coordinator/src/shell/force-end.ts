import {
  fromStart,
  InboxMessage,
  isFromItsSender,
  isTerminal,
  type RunEvent,
  RunId,
  type RunStarted,
  type RunTerminated,
  readableEvents,
  Segment,
  Slot,
} from "@stepstream/contracts";
import type { Stored } from "@stepstream/event-log";
import { isForEarlierRun } from "../run/earlier-run.ts";
import { type Deps, Released } from "./deps.ts";
import { Journal } from "./journal.ts";

/** A run that was ended without its code. */
export interface ForcedEnd {
  readonly event: RunTerminated;
  /** As far as it can be read; `readable` says whether it can. */
  readonly started: RunStarted;
  readonly readable: boolean;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** The inbox message that asked for it. */
  readonly upTo: number;
}

/**
 * Ends a run because a TerminateRequested in its inbox asks for that.
 *
 * E1. No workflow code, no schema of the workflow and no replay is needed: whatever keeps the run from being handled
 *     does not keep it from being terminated.
 * E2. Messages that cannot be read are passed over, and so are single events; the start of the run may be one of them.
 * E3. The fence holds as for any decision.
 *
 * Checked elsewhere:
 *   E1  ../../../../test/e2e/containment.test.ts: is parked with the line, and terminated without its code, before and after a restart
 *   E2  ../../../../test/e2e/containment.test.ts: can be terminated and deleted, whatever is stored of it
 *   E3  "journal J2"
 *
 * @returns undefined if there is no such request, or the run is over.
 * @throws {Released} The run is not wanted here any more.
 */
export async function endByForce(
  deps: Deps,
  run: string,
  by: string,
  wanted: () => boolean,
): Promise<ForcedEnd | undefined> {
  const { log } = deps;
  const [journal, all] = await Promise.all([
    log.read(log.subjects.journal(run), { fresh: true }),
    log.read(log.subjects.inbox(run), { fresh: true }),
  ]);
  const inbox = fromStart(all);
  const messages = inbox.flatMap((stored) => {
    const read = InboxMessage.safeParse(jsonOf(stored));
    const counts = read.success && isFromItsSender(stored.subject, read.data);
    return counts ? [{ seq: stored.seq, at: stored.at, message: read.data }] : [];
  });
  const stored = journal.map((one) => ({ json: jsonOf(one), events: readableEvents(one.text) }));
  // Its first decision may be one of a deleted run that had the id: see readHistory.
  const from = messages[0]?.message.type === "RunStarted" ? messages[0].seq : 0;
  const decisions = stored.filter(({ json }) => !(json?.upTo < from));
  let events = decisions.flatMap((decision) => decision.events);
  // A decision on a message that there is not was made up.
  const newest = inbox.at(-1)?.seq ?? 0;
  let upTo = 0;
  for (const { json } of decisions)
    if (Number.isSafeInteger(json?.upTo) && json.upTo <= newest) upTo = Math.max(upTo, json.upTo);
  // The id has been started again after its run was deleted: what is left of the journal is the old one's.
  const again = messages.find(({ seq, message }) => message.type === "RunStarted" && seq > upTo);
  if (again) [events, upTo] = [[], 0];
  if (events.some(isTerminal)) return undefined;
  const startedBy = events.some(({ type }) => type === "RunContinued") ? 0 : (again?.seq ?? from);
  const request = messages.find(
    ({ seq, message }) => seq > upTo && message.type === "TerminateRequested" && !isForEarlierRun(message, startedBy),
  );
  const start = again ? inbox.find(({ seq }) => seq === again.seq) : inbox[0];
  const known = start && startIn(start, events, messages[0]?.seq);
  if (request?.message.type !== "TerminateRequested" || !known) return undefined;

  const children = openChildren(events, messages);
  const event: RunTerminated = {
    type: "RunTerminated",
    reason: request.message.reason,
    ...(children.length > 0 && { children }),
  };
  const segment = again ? undefined : Segment.safeParse(decisions.at(-1)?.json?.segment).data;
  const writer = new Journal(deps, run, by, journal.at(-1)?.seq ?? 0, segment);
  const written = await writer.append([{ event, text: JSON.stringify(event) }], request.seq, wanted);
  if (written === "moved") {
    if (!wanted()) throw new Released();
    // Another coordinator has written meanwhile: perhaps the same.
    return endByForce(deps, run, by, wanted);
  }
  return {
    event,
    ...known,
    startedAtMs: known.started.since ?? start.at,
    endedAtMs: request.at,
    upTo: request.seq,
  };
}

/** @returns undefined if the first message can be read and starts nothing: then there is no run. */
function startIn(
  first: Stored,
  events: readonly RunEvent[],
  firstReadable: number | undefined,
): { started: RunStarted; readable: boolean } | undefined {
  const continued = events.findLast((event) => event.type === "RunContinued");
  if (continued) return { started: continued.start, readable: true };
  const json = jsonOf(first);
  const read = InboxMessage.safeParse(json);
  if (read.success) return read.data.type === "RunStarted" ? { started: read.data, readable: true } : undefined;
  if (firstReadable === first.seq) return undefined;
  // Its parent, if it says who that is, waits for its end.
  const [run, slot] = [RunId.safeParse(json?.parent?.run), Slot.safeParse(json?.parent?.slot)];
  const parent = run.success && slot.success ? { parent: { run: run.data, slot: slot.data } } : {};
  const started: RunStarted = {
    v: 1,
    type: "RunStarted",
    id: "unreadable",
    workflow: "unknown",
    version: 1,
    ...parent,
  };
  return { started, readable: false };
}

function jsonOf(stored: Stored): any {
  try {
    return JSON.parse(stored.text);
  } catch {
    return undefined;
  }
}

/** Children that the journal has asked for, and that are not known to have ended. */
function openChildren(
  events: readonly RunEvent[],
  inbox: readonly { message: InboxMessage }[],
): NonNullable<RunTerminated["children"]> {
  const ended = new Set(inbox.flatMap(({ message }) => (message.type === "ChildEnded" ? [message.slot] : [])));
  return events.flatMap((event) =>
    event.type === "ChildScheduled" && event.onParentClose !== "abandon" && !ended.has(event.slot)
      ? [{ run: event.run, slot: event.slot, how: event.onParentClose }]
      : [],
  );
}
