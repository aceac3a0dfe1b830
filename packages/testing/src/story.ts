import type { AttemptRecord, Failure, InboxMessage, RunEvent } from "@stepstream/contracts";
import type { HistoryEntry } from "@stepstream/sdk";

const SHOWN_MAX = 120;

/**
 * A run's history for people, a line for each thing that happened, with the time since its start:
 *
 *   +0 ms      started order {"orderId":"1"}
 *   +0 ms      asks for charge (slot 1) {"orderId":"1"}
 *   +3 ms      charge (slot 1) completed {"receipt":"r-1"}
 */
export function tellStory(history: readonly HistoryEntry[]): string {
  const t0 = history[0]?.at ?? 0;
  const names = new Map<number, string>();
  for (const entry of history)
    if (entry.kind === "journal")
      for (const event of entry.message.events)
        if (event.type === "StepScheduled") names.set(event.slot, `${event.step} (slot ${event.slot})`);
        else if (event.type === "ChildScheduled") names.set(event.slot, `child ${event.run} (slot ${event.slot})`);
        else if (event.type === "TimerStarted") names.set(event.slot, `timer (slot ${event.slot})`);
  const slot = (n: number) => names.get(n) ?? `slot ${n}`;
  const lines = history.flatMap((entry) => {
    const at = `+${spellMs(entry.at - t0)}`.padEnd(10);
    return linesOf(entry, slot, entry.at).map((line) => `${at} ${line}`);
  });
  return lines.join("\n");
}

/** Whole units, the two greatest: "30d 4h", "1m 5s", "250 ms". */
export function spellMs(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ] as const;
  const first = units.findIndex(([, unit]) => ms >= unit);
  if (first < 0 || (ms < 10_000 && ms % 1_000 !== 0)) return `${Math.round(ms)} ms`;
  const [name, unit] = units[first]!;
  const whole = Math.floor(ms / unit);
  const [nextName, nextUnit] = units[first + 1] ?? ["ms", 1];
  const rest = Math.floor((ms - whole * unit) / nextUnit);
  return rest > 0 ? `${whole}${name} ${rest}${nextName}` : `${whole}${name}`;
}

/** A value as JSON, cut short. */
export function show(value: unknown): string {
  const text = value === undefined ? "" : JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX - 1)}…` : text;
}

function linesOf(entry: HistoryEntry, slot: (n: number) => string, at: number): string[] {
  switch (entry.kind) {
    case "inbox":
      return [came(entry.message, slot)];
    case "journal":
      return entry.message.events.map((event) => decided(event, slot, at));
    case "attempt":
      return [attempted(entry.message, slot)];
    case "malformed":
      return [`cannot be read: ${entry.error.message}`];
  }
}

function came(message: InboxMessage, slot: (n: number) => string): string {
  switch (message.type) {
    case "RunStarted":
      return `started ${message.workflow} ${show(message.input)}`.trimEnd();
    case "StepCompleted":
      return `${slot(message.slot)} completed ${show(message.output)}`.trimEnd();
    case "StepFailed":
      return `${slot(message.slot)} failed for good in attempt ${message.attempt}: ${why(message.error)}`;
    case "StepCancelled":
      return `${slot(message.slot)} was cancelled`;
    case "TimerFired":
      return `${slot(message.slot)} fired`;
    case "SlotTimedOut":
      return `${slot(message.slot)} was not done in time (${message.kind})`;
    case "CancelRequested":
      return `cancel requested: ${message.reason}`;
    case "TerminateRequested":
      return `terminate requested: ${message.reason}`;
    case "SignalReceived":
      return `signal ${message.name} ${show(message.payload)}`.trimEnd();
    case "UpdateRequested":
      return `update ${message.name} ${show(message.input)}`.trimEnd();
    case "ChildEnded": {
      const how = message.error ? `: ${why(message.error)}` : ` ${show(message.output)}`.trimEnd();
      return `child ${message.child} ${message.outcome}${how}`;
    }
    default:
      return bare(message);
  }
}

function decided(event: RunEvent, slot: (n: number) => string, at: number): string {
  switch (event.type) {
    case "StepScheduled": {
      const verb = event.compensation ? "compensates with" : "asks for";
      return `${verb} ${slot(event.slot)} ${show(event.input)}`.trimEnd();
    }
    case "TimerStarted":
      return `sleeps for ${spellMs(event.fireAt - at)} (slot ${event.slot})`;
    case "ChildScheduled":
      return `starts child ${event.run} of ${event.workflow} (slot ${event.slot}) ${show(event.input)}`.trimEnd();
    case "SignalAccepted":
      return `takes note of signal ${event.name}`;
    case "SignalRefused":
      return `refuses signal ${event.name}: ${why(event.error)}`;
    case "UpdateAccepted":
      return `begins update ${event.name}`;
    case "UpdateRefused":
      return `refuses an update: ${why(event.error)}`;
    case "UpdateCompleted":
      return `answers an update ${show(event.output)}`.trimEnd();
    case "UpdateFailed":
      return `fails an update: ${why(event.error)}`;
    case "RunTimedOut":
      return `has not ended within ${spellMs(event.timeoutMs)}`;
    case "RunContinued":
      return `continues as new ${show(event.start.input)}`.trimEnd();
    case "RunTerminated":
      return `terminated: ${event.reason}`;
    case "SlotsCancelled":
      return `cancels ${event.slots.map(slot).join(", ")}: ${event.reason}`;
    case "CancelAccepted":
      return `takes note of the cancel: ${event.reason}`;
    case "RunClosing":
      return `is ending as ${event.outcome}${event.error ? `: ${why(event.error)}` : ""}`;
    case "CompensationFailed":
      return `compensation ${slot(event.slot)} failed: ${why(event.error)}`;
    case "RunCompleted":
      return `completed ${show(event.output)}`.trimEnd();
    case "RunFailed":
      return `failed: ${why(event.error)}`;
    case "RunCancelled":
      return `cancelled: ${event.reason}`;
    default:
      return bare(event);
  }
}

function attempted(record: AttemptRecord, slot: (n: number) => string): string {
  if (record.type === "AttemptHeartbeat")
    return `${slot(record.slot)} attempt ${record.attempt} ${standingOf(record)} ${show(record.details)}`.trimEnd();
  const then = record.delayMs === undefined ? "" : `; again in ${spellMs(record.delayMs)}`;
  return `${slot(record.slot)} attempt ${record.attempt} failed: ${why(record.error)}${then}`;
}

function standingOf({ handedBack, stopping, alone }: Extract<AttemptRecord, { type: "AttemptHeartbeat" }>): string {
  if (handedBack) return "is handed back";
  if (stopping) return "is under way while its worker stops";
  return alone === undefined ? "is under way" : `is under way alone in its process, for the ${nth(alone)} time`;
}

function nth(n: number): string {
  return ["first", "second", "third"][n - 1] ?? `${n}th`;
}

function why({ code, message }: Failure): string {
  return `${message.split("\n")[0]}${code === "ERROR" ? "" : ` [${code}]`}`;
}

/** Kinds of messages that are not told in words yet. */
function bare({ type, ...rest }: { type: string; v?: unknown }): string {
  const { v: _v, ...said } = rest;
  return `${type} ${show(said)}`;
}
