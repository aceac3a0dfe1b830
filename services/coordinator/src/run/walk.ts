import type { Decision, InboxMessage, RunEvent } from "@stepstream/contracts";
import { invariant, isTerminal, RunId } from "@stepstream/contracts";
import type { AnyWorkflow } from "@stepstream/sdk";
import { frameOf } from "@stepstream/watchdog";
import { type Fault, RunExecution } from "./execution.ts";
import { guardGlobals } from "./globals.ts";
import type { Observer } from "./observer.ts";
import { OWN, type Position, positions } from "./positions.ts";
import type { Decided } from "./recorder.ts";
import type { Slot } from "./slot.ts";
import { finishTurn } from "./turn.ts";
import type { Wait } from "./waits.ts";
import { watchWorkflowCode } from "./watch.ts";

/** A run as it is stored. `run.history()` has the same in one list. */
export interface RecordedRun {
  readonly run: string;
  /** What came in, by stream sequence. */
  readonly inbox: readonly { readonly seq: number; readonly at: number; readonly message: InboxMessage }[];
  /** What was decided, by stream sequence. */
  readonly decisions: readonly Decision[];
}

/** Something that the workflow waits for. */
export interface Pending {
  /** The slot, where it is one. */
  readonly slot?: number;
  /** "step charge", "a timer", "child order-1-ship", "signal approve", "a condition". */
  readonly what: string;
  /** Of a timer, in epoch milliseconds. */
  readonly fireAt?: number;
  /** Where the code asked for it, the innermost first. Empty where nobody looked. */
  readonly positions: readonly Position[];
}

/** One message of the inbox, and what it led to. */
export interface Walked {
  readonly seq: number;
  readonly at: number;
  readonly message: InboxMessage;
  /** What was decided on it. */
  readonly decided: readonly RunEvent[];
  /** The journal has it: the message lies up to where it has consumed the inbox. */
  readonly recorded: boolean;
  /** The run is over. */
  readonly over: boolean;
  /** Why the code cannot go on here; it is the last step then. */
  readonly fault?: Fault;
  /** Where the code was then. */
  readonly faultPositions?: readonly Position[];
  /** What the workflow waits for now. */
  pending(): Pending[];
}

export interface WalkOptions {
  /** Remember where the code asks for things. Default true; some ten microseconds for each. */
  positions?: boolean;
}

/**
 * Replays a history, message by message: runs the workflow against it with nothing but that, no bus and no steps.
 *
 * W1. What is decided is held against the journal, and the first difference is the end.
 * W2. Messages after those that the journal has consumed are folded in as well: they have decided nothing yet that was
 *     stored, but the run may be as far as that.
 *
 * Decisions about messages from before the start are of a deleted run that had the id: they count for nothing.
 *
 * Asserted after each message ("walk W1", "walk W2").
 */
export async function* walkRun(
  workflow: AnyWorkflow,
  { run, inbox, decisions: stored }: RecordedRun,
  options: WalkOptions = {},
): AsyncGenerator<Walked, void, void> {
  RunId.parse(run);
  guardGlobals();
  const [first] = inbox;
  const decisions = stored.filter(({ upTo }) => first?.message.type !== "RunStarted" || upTo >= first.seq);
  const events = decisions.flatMap((decision) => decision.events);
  const upTo = decisions.at(-1)?.upTo ?? 0;
  const asked = new WeakMap<object, Position[]>();
  let faultPositions: Position[] | undefined;
  const observer: Observer = {
    asked: (what) => void asked.set(what, positions()),
    faulted: () => {
      faultPositions ??= positions();
    },
  };
  const execution = new RunExecution(run, workflow, events, upTo, options.positions === false ? undefined : observer);
  const last = inbox.findLast(({ seq }) => seq <= upTo);
  let turn: PromiseWithResolvers<Decided[]> | undefined;
  const watch = watchWorkflowCode(
    (one) => one === execution,
    (_error, frames) => {
      const frame = frameOf(frames, OWN);
      faultPositions = frame ? [frame] : [];
      turn?.resolve([]);
    },
  );
  try {
    for (const entry of inbox) {
      yield* walk(entry);
      if (execution.fault) return;
    }
  } finally {
    watch.stop();
  }

  function check({ seq }: RecordedRun["inbox"][number], fresh: number): void {
    const where = { run };
    const { count } = execution.recorder;
    invariant(
      fresh === 0 || count - fresh >= events.length,
      "walk W1",
      where,
      "a difference to the journal was missed",
    );
    invariant(
      seq !== last?.seq || count === events.length,
      "walk W1",
      where,
      "not all of the journal was decided again",
    );
    invariant(execution.folded >= seq, "walk W2", where, "a message was left out");
  }

  async function* walk(entry: RecordedRun["inbox"][number]): AsyncGenerator<Walked, void, void> {
    const { seq, at, message } = entry;
    const recorded = seq <= upTo;
    const before = execution.recorder.count;
    const current = Promise.withResolvers<Decided[]>();
    turn = current;
    // Not in a frame of this function: code that is stopped takes its callers with it. And not in that of a callback of
    // Node.js, which keeps its async id on a stack while it runs: see the watchdog's emptyAsyncStack().
    setImmediate(() => {
      void Promise.resolve()
        .then(() => {
          execution.fold(seq, at, message);
          finishTurn(execution, macrotask).then(current.resolve, current.reject);
        })
        .catch(current.reject);
    });
    const fresh = await current.promise;
    if (recorded && fresh.length > 0) execution.checkReplayed(fresh);
    if (entry === last) execution.checkReplayed([]);
    const { fault } = execution;
    if (!fault) check(entry, fresh.length);
    yield {
      seq,
      at,
      message,
      decided: [...events.slice(before, execution.recorder.count), ...fresh.map(({ event }) => event)],
      recorded,
      over: execution.closed,
      ...(fault && { fault, faultPositions: faultPositions ?? [] }),
      pending: () => pendingOf(execution, asked),
    };
  }
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** "step charge", "a timer", "child order-1-ship", "signal approve", "a condition". */
export function nameOf(asked: Slot | Wait): string {
  if (!("slot" in asked)) return asked.signal === undefined ? "a condition" : `signal ${asked.signal}`;
  const { step, child } = asked;
  if (step) return `${step.compensation ? "compensation" : "step"} ${step.definition.name}`;
  return child ? `child ${child.run}` : "a timer";
}

function pendingOf(execution: RunExecution, asked: WeakMap<object, Position[]>): Pending[] {
  if (execution.closed) return [];
  const pending: Pending[] = [];
  for (const slot of execution.slots.values()) {
    if (slot.state === "done" || slot.purpose) continue;
    const what = nameOf(slot);
    const fireAt = slot.kind === "timer" ? { fireAt: slot.fireAt! } : {};
    pending.push({ slot: slot.slot, what, ...fireAt, positions: asked.get(slot) ?? [] });
  }
  for (const wait of execution.life?.waits.open ?? [])
    pending.push({
      what: nameOf(wait),
      positions: asked.get(wait) ?? [],
    });
  return pending;
}

/**
 * What has to be replayed to know whether the code fits. A run that nobody could handle may have been ended by force:
 * then the code had no say in its end.
 */
export function withoutForcedEnd(recorded: RecordedRun): RecordedRun | undefined {
  const [end, ...more] = recorded.decisions.at(-1)?.events ?? [];
  if (!end || !isTerminal(end) || end.type !== "RunTerminated" || more.length > 0) return undefined;
  return { ...recorded, decisions: recorded.decisions.slice(0, -1) };
}
