import type { Recorded } from "@stepstream/coordinator/audit";
import type { HistoryEntry } from "@stepstream/sdk";

/** A history, from where the run last continued as new, as the audit reads it. */
export function recordedOf(history: readonly HistoryEntry[]): Recorded {
  const all = history.flatMap((entry) => (entry.kind === "journal" ? entry.message.events : []));
  const at = all.findLastIndex((event) => event.type === "RunContinued");
  const continued = all[at]?.type === "RunContinued" ? all[at] : undefined;
  const inbox = history.flatMap((entry) => (entry.kind === "inbox" ? [entry] : []));
  return {
    continued,
    events: all.slice(at + 1),
    inbox: inbox.filter(({ seq }) => seq > (continued?.after ?? 0)),
  };
}
