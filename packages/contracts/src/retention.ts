import { z } from "zod";
import { refuse } from "./check.ts";
import { type Duration, durationMs } from "./duration.ts";
import { Name } from "./ids.ts";
import { MAX_DURATION_MS } from "./limits.ts";

/** How a run has ended. */
export const OUTCOMES = ["completed", "failed", "cancelled", "terminated"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** How long ended runs are kept. At least one of `ageMs` and `count` is given; a run goes as soon as one of them says so. */
export const RetentionRule = z.object({
  /** For runs of this workflow. Default: of all that have no rule of their own. */
  workflow: Name.optional(),
  /** For runs that ended so. Default: in any way that has no rule of its own. */
  outcome: z.enum(OUTCOMES).optional(),
  /** Runs that ended longer ago are removed. */
  ageMs: z.int().min(0).max(MAX_DURATION_MS).optional(),
  /** So many that ended last are kept, of each workflow and outcome. */
  count: z.int().min(0).optional(),
});
export type RetentionRule = z.infer<typeof RetentionRule>;

/** Which ended runs of a namespace are removed; kept with its streams. */
export const Retention = z.object({
  v: z.literal(1),
  rules: z.array(RetentionRule).min(1).max(1_000),
  /** Whether a run is removed only once a coordinator has written it to its archive. */
  archive: z.boolean(),
});
export type Retention = z.infer<typeof Retention>;

/**
 * The rule for runs of a workflow that ended in one way: the most specific one. A rule that names the workflow counts before
 * one that does not; among those, one that names the outcome.
 *
 * @returns undefined: they are kept.
 */
export function retentionRuleFor({ rules }: Retention, workflow: string, outcome: Outcome): RetentionRule | undefined {
  const rank = (rule: RetentionRule) => (rule.workflow === undefined ? 0 : 2) + (rule.outcome === undefined ? 0 : 1);
  let best: RetentionRule | undefined;
  for (const rule of rules) {
    if (rule.workflow !== undefined && rule.workflow !== workflow) continue;
    if (rule.outcome !== undefined && rule.outcome !== outcome) continue;
    if (!best || rank(rule) > rank(best)) best = rule;
  }
  return best;
}

/**
 * A rule as people write it: `<workflow>/<outcome>=<age>,<count>`, of which `*` stands for all, and all but one of age and
 * count may be left out.
 *
 * @throws {RangeError} It is not one.
 * @example retentionRule("30d"); retentionRule("order=7d"); retentionRule("order/failed=90d,1000");
 */
export function retentionRule(text: string): RetentionRule {
  const wrong = (why: string): never =>
    refuse("retention rule", text, `<workflow>/<outcome>=<age>,<count>, such as "30d", "*/completed=7d,1000" (${why})`);
  const parts = text.split("=");
  if (parts.length > 2) wrong("one = at most");
  const [keep = "", whose = "*"] = parts.reverse();
  const [workflow = "*", outcome = "*", ...more] = whose.split("/");
  if (more.length > 0) wrong("one / at most");
  const rule: { -readonly [K in keyof RetentionRule]: RetentionRule[K] } = {};
  if (workflow !== "*") rule.workflow = Name.safeParse(workflow).success ? workflow : wrong("no workflow is called so");
  if (outcome !== "*")
    rule.outcome = OUTCOMES.find((one) => one === outcome) ?? wrong(`the outcomes are ${OUTCOMES.join(", ")}`);
  for (const said of keep.split(",")) {
    if (/^\d+$/.test(said)) {
      if (rule.count !== undefined) wrong("one count");
      rule.count = Number(said);
      if (!Number.isSafeInteger(rule.count)) wrong("the count is too large");
    } else {
      if (rule.ageMs !== undefined) wrong("one age");
      try {
        rule.ageMs = Math.round(durationMs(said as Duration, "age"));
      } catch {
        wrong("an age is a duration such as 12h or 30d, a count a whole number");
      }
    }
  }
  return rule;
}

/** The same as {@link retentionRule} reads it. */
export function retentionRuleText({ workflow, outcome, ageMs, count }: RetentionRule): string {
  const keep = [ageMs === undefined ? undefined : ageText(ageMs), count].filter((one) => one !== undefined).join(",");
  return `${workflow ?? "*"}/${outcome ?? "*"}=${keep}`;
}

function ageText(ms: number): string {
  for (const [unit, of] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ] as const)
    if (ms > 0 && ms % of === 0) return `${ms / of}${unit}`;
  return `${ms}ms`;
}

/** A policy of rules as people write them. @throws {RangeError} One of them is not a rule, or two are for the same runs. */
export function retentionOf(rules: readonly string[], archive = false): Retention {
  const read = rules.map(retentionRule);
  const whose = read.map(({ workflow = "*", outcome = "*" }) => `${workflow}/${outcome}`);
  const twice = whose.find((one, index) => whose.indexOf(one) !== index);
  if (twice !== undefined) refuse("retention rules", rules, `one rule for ${twice}`);
  return { v: 1, rules: read, archive };
}
