import type { Outcome } from "@stepstream/contracts";
import type { HistoryEntry } from "@stepstream/sdk";

/** A run that is about to be removed: what `stepstream history --export` writes, and how it ended. */
export interface ArchivedRun {
  readonly run: string;
  readonly namespace: string;
  /** `<name>@<version>`. */
  readonly workflow: string;
  readonly outcome: Outcome;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly history: readonly HistoryEntry[];
}
