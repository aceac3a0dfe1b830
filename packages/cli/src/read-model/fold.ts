import { Decision, decode, InboxMessage, isTerminal, RunParked } from "@stepstream/contracts";
import type { RunState } from "@stepstream/sdk";

/** What the read model knows of a run. Times are epoch milliseconds by the server's clock. */
export interface RunRow {
  run: string;
  workflow: string;
  version: number;
  status: RunState;
  startedAt: number;
  endedAt: number | null;
  /** The stream sequence of its start: ids that were deleted and begun anew are other runs. */
  startedSeq: number;
  parent: string | null;
  /** The stream sequence of the record that it is parked; null: it is not. */
  parkedSeq: number | null;
  /** Why it failed, or is parked. */
  code: string | null;
  message: string | null;
}

/** A stored message, as far as the read model looks at it. */
export interface Seen {
  kind: "inbox" | "journal" | "parked";
  run: string;
  seq: number;
  at: number;
  text: string;
}

const ENDS = {
  RunCompleted: "completed",
  RunFailed: "failed",
  RunCancelled: "cancelled",
  RunTerminated: "terminated",
} as const;

/**
 * The rows of runs, as a fold of the stream.
 *
 * F1. A start makes the row anew. It is fenced to be the first of its inbox: so a second one is another run, of an id
 *     that was deleted.
 * F2. A journal message that holds an end closes the row. Any other says that the run goes on: it is not parked.
 * F3. What cannot be read changes nothing; it is in the history, and among the dead letters.
 *
 * @param row - What is known so far; undefined: nothing.
 * @param onUnreadable - Called for a message that would matter, and cannot be read.
 * @returns The row from now on; the same object if nothing changed.
 */
export function fold(row: RunRow | undefined, seen: Seen, onUnreadable: () => void = () => {}): RunRow | undefined {
  switch (seen.kind) {
    case "inbox":
      return mayStart(seen.text) ? (started(seen, onUnreadable) ?? row) : row;
    case "journal":
      return row && row.endedAt === null ? decided(row, seen, onUnreadable) : row;
    case "parked":
      return row && row.endedAt === null ? parked(row, seen, onUnreadable) : row;
  }
}

/** Most messages of an inbox are no start, and looking is cheaper than reading. */
function mayStart(text: string): boolean {
  return text.includes('"RunStarted"');
}

/** Does this journal message matter to the row? */
function mayEnd(text: string): boolean {
  return /"Run(Completed|Failed|Cancelled|Terminated)"/.test(text);
}

function started({ run, seq, at, text }: Seen, onUnreadable: () => void): RunRow | undefined {
  const message = attempt(() => decode(InboxMessage, text, `run ${run} #${seq}`), onUnreadable);
  if (message?.type !== "RunStarted") return undefined;
  const { workflow, version, parent } = message;
  return {
    run,
    workflow,
    version,
    status: "running",
    startedAt: at,
    endedAt: null,
    startedSeq: seq,
    parent: parent?.run ?? null,
    parkedSeq: null,
    code: null,
    message: null,
  };
}

function decided(row: RunRow, { run, seq, at, text }: Seen, onUnreadable: () => void): RunRow {
  const end = mayEnd(text)
    ? attempt(() => decode(Decision, text, `run ${run} #${seq}`), onUnreadable)?.events.find(isTerminal)
    : undefined;
  if (!end)
    return row.status === "parked" ? { ...row, status: "running", parkedSeq: null, code: null, message: null } : row;
  const why =
    end.type === "RunFailed"
      ? { code: end.error.code, message: end.error.message }
      : { code: null, message: "reason" in end ? end.reason : null };
  return { ...row, status: ENDS[end.type], endedAt: at, parkedSeq: null, ...why };
}

function parked(row: RunRow, { run, seq, text }: Seen, onUnreadable: () => void): RunRow {
  const record = attempt(() => decode(RunParked, text, `run ${run} #${seq}`), onUnreadable);
  if (!record) return row;
  return { ...row, status: "parked", parkedSeq: seq, code: record.code, message: record.error.message };
}

function attempt<T>(read: () => T, onUnreadable: () => void): T | undefined {
  try {
    return read();
  } catch {
    onUnreadable();
    return undefined;
  }
}
