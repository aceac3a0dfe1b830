import { type Decision, fromStart, type InboxMessage, isStart } from "@stepstream/contracts";
import type { EventLog, Stored } from "@stepstream/event-log";

/** The whole history of a run: what came in, what was decided, by stream sequence. */
export interface Told {
  inbox: { seq: number; at: number; message: InboxMessage }[];
  decisions: { seq: number; decision: Decision }[];
}

export async function tell(log: EventLog, run: string): Promise<Told> {
  const inbox = fromStart(await log.read(log.subjects.inbox(run), { fresh: true }));
  const journal = await log.read(log.subjects.journal(run), { fresh: true });
  const parse = (stored: Stored) => JSON.parse(stored.text);
  const decisions = journal.map((stored) => ({ seq: stored.seq, decision: parse(stored) as Decision }));
  const from = firstSeq(inbox);
  return {
    inbox: inbox.map((stored) => ({ seq: stored.seq, at: stored.at, message: parse(stored) as InboxMessage })),
    decisions: decisions.filter(({ decision }) => decision.upTo >= from),
  };
}

/** Decisions about messages from before the start of a run are of another that had its id: they count for nothing. */
export function firstSeq(inbox: readonly Stored[]): number {
  return inbox.find(isStart)?.seq ?? 0;
}

/** A history as text, one line for each message. */
export function spell({ inbox, decisions }: Told, t0: number): string {
  const lines = [
    ...inbox.map(({ seq, at, message }) => ({ seq, line: `+${at - t0} ms  in   ${JSON.stringify(message, short)}` })),
    ...decisions.map(({ seq, decision }) => ({
      seq,
      line: `        journal (up to ${decision.upTo}, by ${decision.by}) ${decision.events.map((e) => JSON.stringify(e, short)).join(" ")}`,
    })),
  ];
  return lines
    .sort((a, b) => a.seq - b.seq)
    .map(({ seq, line }) => `${String(seq).padStart(6)}  ${line}`)
    .join("\n");
}

function short(key: string, value: unknown): unknown {
  return key === "stack" || key === "v" || key === "trace" ? undefined : value;
}
