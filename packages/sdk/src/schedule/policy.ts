/**
 * What becomes of a schedule's times: which are started, which wait, which are left out.
 *
 *   decide(state, event) → the next state, and what is to be done
 *
 * Pure: no clock, no chance; whatever has come is in the event.
 *
 * P1. Each time that came is started, skipped or missed, once; or it waits.
 * P2. At most one run is on that others wait for. Runs of "allow-all" are none: they wait for nobody, nobody for them.
 * P3. What waits starts in its order when that run has ended; nobody waits while none is on, except in a pause.
 * P4. In a pause nothing starts by itself; what was asked for by hand does.
 * P5. A time that comes later than `catchUpMs` is missed; but while a run is on, "skip", "buffer-one" and "buffer-all"
 *     do not look at the clock: then it is a matter of overlap.
 * P6. With a limit, no more than so many start by themselves.
 * P7. A run is stopped once at most, and only one that was started to be stopped: by "cancel-other", "terminate-other".
 *
 * Checked elsewhere:
 *   P1 P2 P3  policy.test.ts: P1, P2, P3, P4, P6 and P7 hold
 *   P4  policy.test.ts: a pause (P4)
 *   P5  policy.test.ts: a time that comes late (P5)
 *   P6  policy.test.ts: a limit (P6)
 *   P7  policy.test.ts: started to be stopped (P7)
 */

import type { Overlap } from "./spec.ts";

/** Something to start. */
export interface Due {
  /** The time it is for, epoch ms; for a trigger, when it was asked for. */
  at: number;
  /** The id of its run. */
  run: string;
  /** By itself at its time, or by hand. */
  cause: "time" | "trigger" | "backfill";
  overlap: Overlap;
}

export interface PolicyState {
  paused: boolean;
  /** How many may still start by themselves; null: no limit. */
  left: number | null;
  /** The run that others wait for, and whether they may stop it. */
  running: { run: string; stoppable: boolean; stopping: boolean } | null;
  waiting: Due[];
}

export type PolicyEvent =
  /** In the order of their times. `lateMs` is how late the start of each would be. */
  | { type: "came"; due: readonly Due[]; lateMs?: (due: Due) => number; catchUpMs?: number }
  | { type: "ended"; run: string }
  | { type: "paused" }
  | { type: "resumed" };

export type PolicyAction =
  | { type: "start"; due: Due }
  /** Left out: because of overlap, or because the limit is reached. */
  | { type: "skip"; due: Due; why: "overlap" | "limit" }
  | { type: "miss"; due: Due }
  /** Ask it to end; `ended` follows when it has. */
  | { type: "stop"; run: string };

/** No more than so many wait. */
export const MOST_WAITING = 1_000;

export const initialPolicy: PolicyState = { paused: false, left: null, running: null, waiting: [] };

/** Do times that come while a run is on have to be looked at only when it ends? */
export function isPatient(overlap: Overlap): boolean {
  return overlap === "skip" || overlap === "buffer-one" || overlap === "buffer-all";
}

/** Stops whatever is on. */
function isPushy(overlap: Overlap): boolean {
  return overlap === "cancel-other" || overlap === "terminate-other";
}

/** Of how many times that come now more than the first so many are certainly skipped. */
export function room(state: PolicyState, overlap: Overlap): number {
  const free = state.running === null ? 1 : 0;
  switch (overlap) {
    case "skip":
      return free;
    case "buffer-one":
      return free + 1;
    case "buffer-all":
      return free + MOST_WAITING;
    case "cancel-other":
    case "terminate-other":
    case "allow-all":
      return Number.POSITIVE_INFINITY;
    default:
      return overlap satisfies never;
  }
}

export function decide(state: PolicyState, event: PolicyEvent): { state: PolicyState; actions: PolicyAction[] } {
  const { paused, left, running, waiting } = state;
  const next: PolicyState = { paused, left, running: running && { ...running }, waiting: [...waiting] };
  const actions: PolicyAction[] = [];
  switch (event.type) {
    case "came":
      for (const [i, due] of event.due.entries()) {
        const patient = next.running !== null && isPatient(due.overlap);
        const late = !patient && event.lateMs !== undefined && event.lateMs(due) > event.catchUpMs!;
        if (due.cause === "time" && (paused || late)) actions.push({ type: "miss", due });
        else
          come(
            next,
            actions,
            due,
            event.due.slice(i + 1).some((later) => isPushy(later.overlap)),
          );
      }
      break;
    case "ended":
      if (event.run !== running?.run) break;
      next.running = null;
      startWaiting(next, actions);
      break;
    case "paused":
      next.paused = true;
      break;
    case "resumed":
      next.paused = false;
      startWaiting(next, actions);
      break;
    default:
      event satisfies never;
  }
  return { state: next, actions };
}

/** How many places there are to wait in. */
const PLACES: Record<Overlap, number> = {
  skip: 0,
  "buffer-one": 1,
  "buffer-all": MOST_WAITING,
  "cancel-other": 1,
  "terminate-other": 1,
  "allow-all": 0,
};

/** One time has come. @param superseded - Another that would stop this one comes right behind. */
function come(next: PolicyState, actions: PolicyAction[], due: Due, superseded: boolean): void {
  const { running, waiting } = next;
  const pushy = isPushy(due.overlap);
  if (due.overlap === "allow-all") start(next, actions, due);
  else if (pushy && superseded) actions.push({ type: "skip", due, why: "overlap" });
  else if (running === null) start(next, actions, due);
  else if (pushy) {
    for (const other of waiting) if (isPushy(other.overlap)) actions.push({ type: "skip", due: other, why: "overlap" });
    next.waiting = [due, ...waiting.filter((other) => !isPushy(other.overlap))];
    if (!running.stoppable || running.stopping) return;
    running.stopping = true;
    actions.push({ type: "stop", run: running.run });
  } else if (waiting.length < PLACES[due.overlap]) waiting.push(due);
  else actions.push({ type: "skip", due, why: "overlap" });
}

function start(next: PolicyState, actions: PolicyAction[], due: Due): void {
  if (due.cause === "time" && next.left !== null) {
    if (next.left === 0) {
      actions.push({ type: "skip", due, why: "limit" });
      return;
    }
    next.left--;
  }
  if (due.overlap !== "allow-all") next.running = { run: due.run, stoppable: isPushy(due.overlap), stopping: false };
  actions.push({ type: "start", due });
}

function startWaiting(next: PolicyState, actions: PolicyAction[]): void {
  while (next.running === null) {
    const i = next.waiting.findIndex(({ cause }) => !next.paused || cause !== "time");
    if (i < 0) return;
    start(next, actions, next.waiting.splice(i, 1)[0]!);
  }
}
