import { type Failure, fromFailure, isTerminal, type TerminalEvent } from "@stepstream/contracts";
import { type HistoryEntry, RunHandle } from "@stepstream/sdk";

/** A step that a run asked for. */
export interface Asked {
  readonly slot: number;
  readonly step: string;
  readonly input: unknown;
  readonly compensation: boolean;
  readonly completed: boolean;
}

/** A durable wait of a run. */
interface Waited {
  readonly ms: number;
  readonly fired: boolean;
}

/** What a run's history says, as far as matchers want to know it. */
export interface Facts {
  readonly run: string;
  readonly history: readonly HistoryEntry[];
  readonly end: TerminalEvent | undefined;
  readonly asked: readonly Asked[];
  readonly waited: readonly Waited[];
}

/** @throws {TypeError} It is no run. */
export function mustBeRun(received: unknown): RunHandle {
  if (received instanceof RunHandle) return received;
  throw new TypeError(`expect(…) takes a run here, as env.start(…) returns it, not ${typeof received}.`);
}

export async function factsOf(run: RunHandle): Promise<Facts> {
  const history = await run.history();
  const inbox = history.flatMap((entry) => (entry.kind === "inbox" ? [entry.message] : []));
  const said = (type: string, slot: number) =>
    inbox.some((message) => message.type === type && "slot" in message && message.slot === slot);
  const asked: Asked[] = [];
  const waited: Waited[] = [];
  let end: TerminalEvent | undefined;
  for (const entry of history) {
    if (entry.kind !== "journal") continue;
    // A wait is counted from the message that the decision was about.
    const now = history.findLast((other) => other.kind === "inbox" && other.seq <= entry.message.upTo)?.at ?? entry.at;
    for (const event of entry.message.events) {
      if (isTerminal(event)) end = event;
      if (event.type === "StepScheduled") {
        const { slot, step, input, compensation = false } = event;
        asked.push({ slot, step, input, compensation, completed: said("StepCompleted", slot) });
      } else if (event.type === "TimerStarted")
        waited.push({ ms: event.fireAt - now, fired: said("TimerFired", event.slot) });
    }
  }
  return { run: run.id, history, end, asked, waited };
}

/** The codes of an error and of all that led to it. */
export function codesOf(failure: Failure): string[] {
  return [failure.code, ...(failure.cause ? codesOf(failure.cause) : [])];
}

/** The steps that an error names, its own and those of its causes. */
export function stepsOf(failure: Failure): string[] {
  const { step } = fromFailure(failure) as { step?: unknown };
  return [...(typeof step === "string" ? [step] : []), ...(failure.cause ? stepsOf(failure.cause) : [])];
}
