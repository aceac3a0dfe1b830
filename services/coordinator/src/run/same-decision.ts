import { isDeepStrictEqual } from "node:util";
import { decodeValue, type RunEvent } from "@stepstream/contracts";
import { idOf } from "./seen.ts";

/**
 * Is what the code decides now what the history has? Stack traces are left out: they change with every line that
 * moves, and decide nothing. So is which trace a child is in. Histories of before values were tagged have in their place
 * what JSON made of them: a string for a Date, null for NaN. And histories of before an update in progress was refused at
 * every end of its run have there that it failed as cancelled.
 *
 * @param replayed - JSON of an event.
 */
export function sameDecision(recorded: RunEvent, replayed: string): boolean {
  // Nearly always it is the very text.
  if (JSON.stringify(recorded) === replayed) return true;
  const now: unknown = JSON.parse(replayed);
  if (isRefusalOfOld(recorded, now as RunEvent)) return true;
  const before = untraced(strip(recorded));
  return isDeepStrictEqual(before, untraced(strip(now))) || isDeepStrictEqual(before, untraced(strip(untagged(now))));
}

/** The update got its answer at this place either way, and the workflow's code sees neither. */
function isRefusalOfOld(before: RunEvent, now: RunEvent): boolean {
  return (
    before.type === "UpdateFailed" &&
    before.error.code === "WORKFLOW_CANCELLED" &&
    now.type === "UpdateRefused" &&
    before.id === now.id
  );
}

/** As JSON without tags would have it. */
function untagged(json: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(decodeValue(json)));
  } catch {
    return json;
  }
}

/** Without what decides nothing: the trace of a child, and the kinds of processed ids, which older versions left out. */
function untraced(event: any): unknown {
  if (event.type === "RunContinued" && event.start?.seen)
    return { ...event, start: { ...event.start, seen: event.start.seen.map(idOf) } };
  if (event.type !== "ChildScheduled") return event;
  const { trace: _, ...rest } = event;
  return rest;
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => key !== "stack" && inner !== undefined)
      .map(([key, inner]) => [key, strip(inner)]),
  );
}
