import { OVERDUE_MS } from "./compare.ts";
import type { Need } from "./needs.ts";

/** How much must be stored. */
export interface Expected {
  commands: number;
  timers: number;
  /** Timers that are overdue, whether or not they are listed. */
  overdue: number;
}

export const NOTHING_EXPECTED: Readonly<Expected> = { commands: 0, timers: 0, overdue: 0 };

/**
 * Adds what a run needs. Pure.
 *
 * X1. What `missing` calls absent of a run that is alone in its partition is short here, too.
 *
 * Checked elsewhere:
 *   X1  expected.test.ts: counts as short whatever is missing
 */
export function expectedOf(
  needs: readonly Need[],
  { now, shortTimerMs }: { readonly now: number; readonly shortTimerMs: number },
  sum: Expected,
): void {
  for (const need of needs) {
    if (need.kind === "command") sum.commands++;
    else if (need.kind === "timer") {
      if (need.at === undefined || need.at > now + shortTimerMs) sum.timers++;
      else if (now > need.at + OVERDUE_MS) sum.overdue++;
    }
  }
}
