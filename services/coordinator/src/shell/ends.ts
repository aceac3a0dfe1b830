import { type Outcome, type Retention, type RetentionRule, retentionRuleFor } from "@stepstream/contracts";

/** The end of a run: the journal message that holds it, and when it was stored. */
export interface End {
  readonly seq: number;
  readonly at: number;
}

interface Group {
  readonly rule: RetentionRule;
  /** In the order of the stream, so the oldest is first. */
  ends: End[];
  /** How many of them have been taken out. */
  taken: number;
}

/**
 * The ends of the runs that are stored, by workflow and outcome: which of them are to go. Pure.
 *
 * D1. The oldest goes first. It goes when its rule's age is over, or when there are more than its rule's count.
 * D2. What no rule is for is not kept in memory.
 *
 * Checked elsewhere:
 *   D1  ends.test.ts: leave what is newer than the age and among the newest of the count, and nothing else (D1)
 *   D2  ends.test.ts: go by whichever comes first, by the most specific rule, and stay where none is for them (D2)
 */
export class Ends {
  readonly #retention: Retention;
  readonly #groups = new Map<string, Group>();

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  /** Whether a rule is for it; then it is remembered. Ends are added in the order of the stream. */
  add(workflow: string, outcome: Outcome, end: End): boolean {
    const key = `${workflow}/${outcome}`;
    let group = this.#groups.get(key);
    if (!group) {
      const rule = retentionRuleFor(this.#retention, workflow, outcome);
      if (!rule) return false;
      group = { rule, ends: [], taken: 0 };
      this.#groups.set(key, group);
    }
    group.ends.push(end);
    return true;
  }

  /**
   * Takes out what is to go now, at most so many.
   * @param byCount - Whether counts can be trusted: all ends that were added are still stored.
   */
  take(now: number, byCount: boolean, limit: number): End[] {
    const found: End[] = [];
    for (const group of this.#groups.values()) {
      const { ageMs = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY } = group.rule;
      for (let end = group.ends[group.taken]; end && found.length < limit; end = group.ends[group.taken]) {
        const isOver = byCount && group.ends.length - group.taken > count;
        if (!isOver && end.at > now - ageMs) break;
        found.push(end);
        group.taken++;
      }
      if (group.taken > 1_000 && group.taken > group.ends.length / 2) {
        group.ends = group.ends.slice(group.taken);
        group.taken = 0;
      }
    }
    return found;
  }

  /** How many are remembered. */
  get size(): number {
    let size = 0;
    for (const { ends, taken } of this.#groups.values()) size += ends.length - taken;
    return size;
  }
}
