import type { Deps } from "./deps.ts";

/** What can be left over of a run. */
type Leftover = "command" | "timer" | "message" | "chunk";
export type Removed = Readonly<Partial<Record<Leftover, number>>>;

/** Counts and reports what was removed of a run that had no use for it. */
export function reportSwept({ emit, telemetry }: Pick<Deps, "emit" | "telemetry">, run: string, all: Removed): void {
  const removed = Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
  if (Object.keys(removed).length === 0) return;
  for (const [kind, count] of Object.entries(removed)) telemetry.swept?.(kind, count);
  emit({ type: "swept", run, removed });
}
