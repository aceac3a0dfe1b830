import type { RunEvent } from "@stepstream/contracts";
import type { HistoryEntry } from "@stepstream/sdk";
import { readable } from "../json.ts";
import { oneLine } from "../print/table.ts";

/** One thing of a history, in a line. */
export interface Line {
  seq: number;
  at: number;
  kind: HistoryEntry["kind"];
  what: string;
  slot?: number;
  text: string;
  /** What went wrong, if that is what it says: with its stack. */
  error?: unknown;
  /** It changed nothing. */
  ignored?: "late" | "early";
}

/** A line for each message of the inbox and the attempts, and for each event of a decision. */
export function linesOf(entry: HistoryEntry): Line[] {
  const { seq, at, kind } = entry;
  switch (entry.kind) {
    case "malformed":
      return [{ seq, at, kind, what: "?", text: oneLine(entry.error.message) }];
    case "journal":
      return entry.message.events.map((event) => ({ seq, at, kind, ...told(event) }));
    case "inbox":
      return [{ seq, at, kind, ...told(entry.message), ...ignored(entry) }];
    case "attempt":
      return [{ seq, at, kind, ...told(entry.message) }];
  }
}

function ignored({ late, early }: { late?: true; early?: true }): Pick<Line, "ignored"> {
  return late ? { ignored: "late" } : early ? { ignored: "early" } : {};
}

/** What is not worth a word: it is in a column, or for programs. */
const SILENT = new Set(["v", "type", "slot", "id", "after", "trace", "baggage", "seen", "retry"]);

function told(
  message: { type: string } & Partial<Record<string, unknown>>,
): Pick<Line, "what" | "slot" | "text" | "error"> {
  const { type, slot, error } = message;
  const parts: string[] = [];
  if (type === "SlotsCancelled") parts.push(`slots ${(message as RunEvent & { slots: number[] }).slots.join(", ")}`);
  for (const [key, value] of Object.entries(message)) {
    if (SILENT.has(key) || value === undefined || key === "error" || (type === "SlotsCancelled" && key === "slots"))
      continue;
    if (key === "step" || key === "workflow" || key === "name" || key === "run") parts.push(String(value));
    else if (key === "fireAt") parts.push(`at ${new Date(value as number).toISOString()}`);
    else if (key === "details" && value === null) continue;
    else parts.push(`${key} ${JSON.stringify(readable(value))}`);
  }
  if (error && typeof error === "object" && "message" in error)
    parts.push(`${(error as { code?: string }).code}: ${error.message}`);
  return {
    what: type,
    ...(typeof slot === "number" && { slot }),
    ...(error !== undefined && { error }),
    text: oneLine(parts.join("  ")),
  };
}
