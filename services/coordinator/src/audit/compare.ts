import { type Need, slotOfTimer } from "./needs.ts";

/** What is stored of one run, outside of its history. */
export interface StoredOfRun {
  /** Slots with a command that a worker will get: one below the ack floor of its consumer is not among them. */
  readonly commands: Numbers;
  /** Numbers of the timers that are listed. */
  readonly timers: Numbers;
}

/** A set, or a map by these. */
interface Numbers {
  readonly size: number;
  has(number: number): boolean;
  keys(): Iterable<number>;
}

const NONE: Numbers = new Set<number>();
export const NOTHING: StoredOfRun = { commands: NONE, timers: NONE };

/** How a child stands whose end its parent has not received. */
export type ChildState = "unstarted" | "running" | "over";

export interface When {
  /** By the server's clock. */
  readonly now: number;
  /** Timers up to here are kept in memory, on a message that stays unacknowledged. */
  readonly shortTimerMs: number;
  /** No coordinator has the run in memory, as far as known: none sees to the slots that are being cancelled. */
  readonly isCold?: boolean;
}

/** A timer that has not fired so long after its time never will: nats-server's ticks are 250 ms apart. */
export const OVERDUE_MS = 5_000;

/**
 * Compares what a run waits for with what is stored. Pure: the caller reads, and repairs.
 *
 * K1. "Listed" does not prove "will fire": a timer that is overdue counts as absent, and is stored again.
 * K2. A timer that is not listed is absent only if it is overdue, or too far away for a coordinator to keep it in memory.
 * K3. Nothing of a slot that is open is a leftover.
 *
 * What is compared was read at different moments, while others work. So one look proves nothing: what is absent, or left over, in
 * two looks in a row is looked at again, freshly, before anything is done about it (see the auditor).
 *
 * Checked elsewhere:
 *   K1 K2  compare.test.ts: a timer is missing
 *   K3  compare.test.ts: nothing of an open slot is left over, whatever is stored
 *
 * @param children - How the children stand, as far as known; those that are not are not missing.
 * @returns The needs that nothing stored answers.
 */
export function missing(
  needs: readonly Need[],
  stored: StoredOfRun,
  when: When,
  children?: ReadonlyMap<string, ChildState>,
): Need[] {
  return needs.filter((need) => {
    switch (need.kind) {
      case "command":
        return !stored.commands.has(need.slot);
      case "timer":
        return isTimerMissing(need, stored, when);
      case "child": {
        const state = children?.get(need.run);
        return state !== undefined && state !== "running";
      }
      case "cancel":
        return when.isCold === true && !stored.timers.has(need.slot);
      default:
        return need satisfies never;
    }
  });
}

function isTimerMissing({ timer, at }: Need & { kind: "timer" }, { timers }: StoredOfRun, when: When): boolean {
  const { now, shortTimerMs } = when;
  if (at === undefined) return !timers.has(timer);
  return now > at + OVERDUE_MS || (!timers.has(timer) && at > now + shortTimerMs);
}

/** What is stored of a run that none of its open slots has use for. */
export function leftover(needs: readonly Need[], { commands, timers }: StoredOfRun): StoredOfRun {
  if (commands.size + timers.size === 0) return NOTHING;
  const open = new Set(needs.map(({ slot }) => slot));
  return { commands: notOf(open, commands, (slot) => slot), timers: notOf(open, timers, slotOfTimer) };
}

function notOf(open: ReadonlySet<number>, numbers: Numbers, slotOf: (number: number) => number): Numbers {
  let others: Set<number> | undefined;
  for (const number of numbers.keys()) {
    if (open.has(slotOf(number))) continue;
    others ??= new Set();
    others.add(number);
  }
  return others ?? NONE;
}

/** For people. */
export function describeNeed(need: Need): string {
  switch (need.kind) {
    case "command":
      return `the command of slot ${need.slot} (step ${need.step})`;
    case "timer":
      return need.timer === need.slot ? `the timer of slot ${need.slot}` : `the deadline of slot ${need.slot}`;
    case "child":
      return `child ${need.run} of slot ${need.slot}, or its end`;
    case "cancel":
      return `the end of slot ${need.slot} (step ${need.step}), which is being cancelled`;
    default:
      return need satisfies never;
  }
}
