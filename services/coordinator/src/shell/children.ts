import {
  type ChildEnded,
  type ChildScheduled,
  decodeInbox,
  type InboxMessage,
  isOfNewerVersion,
  LogUnavailableError,
  RunAlreadyExistsError,
  type RunEvent,
  type RunStarted,
  toFailure,
  WorkflowCancelledError,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import type { z } from "zod";
import type { ChildSlot, Slot } from "../run/slot.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** What a parent does with its children is messages in their inboxes, as their client; all of it is safe to do again. */

/** A run, as its children know it. */
export interface Parent {
  readonly runId: string;
  /** See RunExecution. */
  readonly mark: string;
  readonly started: RunStarted;
}

/** A child as its parent's journal has it; `after`: the inbox message that led to it, where that is known. */
export type Child = z.infer<typeof ChildScheduled> & { after?: number };

export function childOf({ slot, child, after }: Slot): Child {
  const { run, definition, inputText, onParentClose, delayMs, timeoutMs, trace } = child!;
  const { name: workflow, version } = definition;
  const input = inputText === "" ? undefined : JSON.parse(inputText);
  return {
    type: "ChildScheduled",
    slot,
    run,
    workflow,
    version,
    input,
    onParentClose,
    delayMs,
    timeoutMs,
    trace,
    after,
  };
}

/** @returns "taken" if the id belongs to a run that is no child of this slot. */
export async function startChild(
  deps: Deps,
  parent: Parent,
  child: Child,
  wanted: () => boolean,
): Promise<"started" | "taken" | undefined> {
  const { log, telemetry } = deps;
  const { workflow, version, input, delayMs, timeoutMs, after } = child;
  const trace = telemetry.traceOf(parent.started, parent.runId);
  const { baggage } = parent.started;
  const id = startId(parent, child.slot);
  const start: RunStarted = {
    v: 1,
    type: "RunStarted",
    id,
    workflow,
    version,
    input,
    ...(trace && (child.trace === "linked" ? { link: trace } : { trace })),
    ...(baggage && { baggage }),
    parent: { run: parent.runId, slot: child.slot, ...(after !== undefined && { after }) },
    ...(delayMs !== undefined && { delayMs }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
  const subject = log.subjects.inboxFrom("client", child.run);
  const append = async (): Promise<"started" | "taken"> => {
    try {
      await log.append(subject, JSON.stringify(start), { expectLast: 0, id });
      return "started";
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
      const [first] = await log.read(subject, { fresh: true });
      if (!first) throw new LogUnavailableError(`start child ${child.run}`, "its inbox has just been emptied");
      const known = readStart(first.text, subject);
      if (known) return known.id === id ? "started" : "taken";
      // No run begins with it: it came before any start, or after a run was deleted.
      await log.remove(subject, { upTo: first.seq });
      throw new LogUnavailableError(`start child ${child.run}`, "its inbox began with a message that is no start");
    }
  };
  return retrying(deps, "start a child", append, wanted, parent.runId);
}

/** The id of the message that starts a child: it tells the child from other runs of its id. */
function startId({ mark }: Parent, slot: number): string {
  return `${mark}.${slot}.child`;
}

/** @returns undefined if it is no start of a run, or cannot be read. */
function readStart(text: string, subject: string): Pick<RunStarted, "id"> | undefined {
  try {
    const message = decodeInbox(subject, text);
    return message.type === "RunStarted" ? message : undefined;
  } catch (error) {
    // A newer release may have started it.
    return isOfNewerVersion(error) ? { id: "" } : undefined;
  }
}

/**
 * Asks a child to stop, as its policy says. Its id may have been given to another run, after it was deleted: that one is left
 * alone, also if it is started while the request is on its way.
 */
export async function stopChild(
  deps: Deps,
  parent: Parent,
  child: { run: string; slot: number; onParentClose: ChildSlot["onParentClose"] },
  reason: string,
  wanted: () => boolean,
): Promise<void> {
  if (child.onParentClose === "abandon") return;
  const { log } = deps;
  const id = `${parent.mark}.${child.slot}.stop`;
  const type = child.onParentClose === "terminate" ? "TerminateRequested" : "CancelRequested";
  const subject = log.subjects.inboxFrom("client", child.run);
  const append = async () => {
    const inbox = await log.read(subject, { fresh: true });
    const started = inbox[0] && readStart(inbox[0].text, subject);
    if (started && started.id !== "" && started.id !== startId(parent, child.slot)) return;
    const after = inbox.at(-1)?.seq;
    const why = `its parent ${parent.runId}: ${reason}`;
    const message: InboxMessage = { v: 1, type, id, reason: why, ...(after !== undefined && { after }) };
    await log.append(subject, JSON.stringify(message), { id });
  };
  await retrying(deps, "stop a child", append, wanted, parent.runId);
}

/** What is said of a child that was never started. */
export function unstarted(parent: Parent, child: Child, outcome: "cancelled" | "failed"): ChildEnded {
  const error =
    outcome === "failed"
      ? new RunAlreadyExistsError(child.run)
      : new WorkflowCancelledError(child.run, `cancelled by its parent ${parent.runId} before it was started`);
  return { v: 1, type: "ChildEnded", slot: child.slot, child: child.run, outcome, error: toFailure(error) };
}

/**
 * Starts the children that a decision has asked for, and that go on whatever becomes of their parent: it may have ended
 * in the same turn. Nobody waits for them; an id that is taken is nobody's error.
 */
export async function startAbandoned(
  deps: Deps,
  parent: Parent,
  decided: readonly RunEvent[],
  wanted: () => boolean,
): Promise<void> {
  for (const event of decided)
    if (event.type === "ChildScheduled" && event.onParentClose === "abandon")
      await startChild(deps, parent, event, wanted);
}
