import {
  type ChildEnded,
  type InboxMessage,
  RunAlreadyExistsError,
  type RunStarted,
  toFailure,
  WorkflowCancelledError,
  WrongLastSequenceError,
} from "@stepstream/contracts";
import type { RunExecution } from "../run/execution.ts";
import type { ChildSlot, Slot } from "../run/slot.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/** What a parent does with its children is messages in their inboxes; all of it is safe to do again. */

type Child = ChildSlot & { slot: number };

export function childOf(slot: Slot): Child {
  return { ...slot.child!, slot: slot.slot };
}

/** @returns "taken" if the id belongs to a run that is no child of this slot. */
export async function startChild(
  deps: Deps,
  parent: RunExecution,
  child: Child,
  wanted: () => boolean,
): Promise<"started" | "taken" | undefined> {
  const { log, telemetry } = deps;
  const { name, version } = child.definition;
  const trace = telemetry.traceOf(parent.started!, parent.runId);
  const id = `${parent.mark}.${child.slot}.child`;
  const start: RunStarted = {
    v: 1,
    type: "RunStarted",
    id,
    workflow: name,
    version,
    ...(child.inputText === "" ? {} : { input: JSON.parse(child.inputText) }),
    ...(trace && { trace }),
    parent: { run: parent.runId, slot: child.slot },
    ...(child.delayMs !== undefined && { delayMs: child.delayMs }),
    ...(child.timeoutMs !== undefined && { timeoutMs: child.timeoutMs }),
  };
  const subject = log.subjects.inbox(child.run);
  const append = async (): Promise<"started" | "taken"> => {
    try {
      await log.append(subject, JSON.stringify(start), { expectLast: 0, id });
      return "started";
    } catch (error) {
      if (!(error instanceof WrongLastSequenceError)) throw error;
      const [first] = await log.read(subject, { fresh: true });
      if (!first) throw error;
      return (JSON.parse(first.text) as RunStarted).id === id ? "started" : "taken";
    }
  };
  return retrying(deps, () => `start child ${child.run} of run ${parent.runId}`, append, wanted);
}

/** Asks a child to stop, as its policy says. */
export async function stopChild(
  deps: Deps,
  parent: { runId: string; mark: string },
  child: { run: string; slot: number; onParentClose: ChildSlot["onParentClose"] },
  reason: string,
  wanted: () => boolean,
): Promise<void> {
  if (child.onParentClose === "abandon") return;
  const { log } = deps;
  const id = `${parent.mark}.${child.slot}.stop`;
  const type = child.onParentClose === "terminate" ? "TerminateRequested" : "CancelRequested";
  const message: InboxMessage = { v: 1, type, id, reason: `its parent ${parent.runId}: ${reason}` };
  const append = () => log.append(log.subjects.inbox(child.run), JSON.stringify(message), { id });
  await retrying(deps, () => `stop child ${child.run} of run ${parent.runId}`, append, wanted);
}

/** What is said of a child that was never started. */
export function unstarted(parent: RunExecution, child: Child, outcome: "cancelled" | "failed"): ChildEnded {
  const error =
    outcome === "failed"
      ? new RunAlreadyExistsError(child.run)
      : new WorkflowCancelledError(child.run, `cancelled by its parent ${parent.runId} before it was started`);
  return { v: 1, type: "ChildEnded", slot: child.slot, child: child.run, outcome, error: toFailure(error) };
}
