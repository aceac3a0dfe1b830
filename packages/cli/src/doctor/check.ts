import type { Target } from "./target.ts";

/** What a check found. */
export interface Finding {
  /** `error`: something is wrong, and the exit code is 1. `warn`: advice. */
  level: "ok" | "warn" | "error";
  /** What was examined. */
  about: string;
  /** What is the case. */
  seen: string;
  /** What to do. Absent where it is ok. */
  todo?: string;
}

/**
 * One question about a namespace, in a file of its own. All of them are asked at the same time.
 *
 * K1. `look` reads and `judge` concludes: `judge` is pure, so that its cases are tests without a server.
 * K2. A check that cannot answer, or not in time, is itself a finding, and stops no other check (see examine.ts).
 *
 * Checked elsewhere:
 *   K1  checks/judge.test.ts: with a healthy %s
 *   K2  ../../../../test/cli/doctor/denied.test.ts: says which permission is missing, and still examines the rest
 */
export interface Check<Facts = any> {
  /** For `--accept`. */
  readonly name: string;
  look(target: Target): Promise<Facts>;
  /** @returns At least one finding. */
  judge(facts: Facts): Finding[];
}

/** Gives `judge` the type of what `look` returns. */
export const check = <Facts>(one: Check<Facts>): Check<Facts> => one;

export const ok = (about: string, seen: string): Finding => ({ level: "ok", about, seen });
export const warn = (about: string, seen: string, todo: string): Finding => ({ level: "warn", about, seen, todo });
export const error = (about: string, seen: string, todo: string): Finding => ({ level: "error", about, seen, todo });

/** From here on a limit is worth a finding, before it is reached. */
export const FULL = 0.8;

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

export function mib(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

/** "1 command", "3 commands". */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** The first of them, and how many there are if there are more. */
export function some(items: readonly string[], most = 5): string {
  const rest = items.length - most;
  return `${items.slice(0, most).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
