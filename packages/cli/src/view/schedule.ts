import type { ScheduleDescription } from "@stepstream/sdk/schedule";
import { type Paint, stateStyle } from "../print/colour.ts";
import { table } from "../print/table.ts";
import { ago, stamp } from "../print/time.ts";

/** When it starts its runs: `cron 0 2 * * * in Europe/Berlin`, `every 15m`. */
export function patternOf({ times: { cron, every, timezone } }: Pick<ScheduleDescription, "times">): string {
  const when = [
    cron && `cron ${[cron].flat().join(" | ")}${timezone ? ` in ${timezone}` : ""}`,
    every && `every ${every}`,
  ];
  return when.filter(Boolean).join(" and ");
}

/** A schedule for people: when, what then, what has been, what comes. */
export function described(what: ScheduleDescription, now: number, paint: Paint): string {
  const { overlap = "skip" } = what.times;
  const { workflow, version } = what.action;
  const state = what.over ? paint("gray", "over") : what.paused ? paint("yellow", "paused") : paint("green", "active");
  const counts = Object.entries(what.counts).filter(([, count]) => count > 0);
  const parts = [
    `${paint("bold", what.id)}  ${state}${what.note ? `  ${what.note}` : ""}`,
    `starts   ${workflow}@${version}, ${patternOf(what)}, overlap ${overlap}`,
    `so far   ${counts.length > 0 ? counts.map(([name, count]) => `${count} ${name}`).join(", ") : "nothing"}`,
    `next     ${what.next.length > 0 ? `${what.next.slice(0, 3).map(stamp).join(", ")} UTC` : "nothing"}`,
  ];
  if (what.running.length > 0) parts.push(`running  ${what.running.join(", ")}`);
  if (what.recent.length > 0) {
    const rows = what.recent
      .toReversed()
      .map((start) => [
        start.run,
        paint(stateStyle(start.outcome), start.outcome),
        start.cause,
        ago(now - start.startedAt),
        start.message ?? "",
      ]);
    const columns = ["RUN", "STATUS", "CAUSE", "STARTED", ""].map((title) => ({ title }));
    parts.push("", table(columns, rows));
  }
  return parts.join("\n");
}
