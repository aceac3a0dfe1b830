import { isTerminal, type RunEvent } from "@stepstream/contracts";
import { replayRun } from "@stepstream/coordinator";
import type { AnyWorkflow } from "@stepstream/sdk";
import type { Told } from "./history.ts";
import { checkSegments } from "./segments.ts";

/**
 * What must be so of every run, when all is over.
 *
 * @returns What is not so.
 */
export async function check(
  run: string,
  { inbox, decisions }: Told,
  workflows: readonly AnyWorkflow[],
): Promise<string[]> {
  const faults: string[] = [];
  const events = decisions.flatMap((d) => d.decision.events);
  const terminals = events.filter(isTerminal);
  if (inbox[0]?.message.type !== "RunStarted") return [`run ${run} has no start`];
  if (terminals.length === 0) faults.push(`run ${run} never ended`);
  if (terminals.length > 1) faults.push(`run ${run} ended ${terminals.length} times`);
  if (terminals.length > 0 && !isTerminal(events.at(-1)!)) faults.push(`run ${run} decided something after its end`);
  for (let i = 1; i < decisions.length; i++)
    if (decisions[i]!.decision.upTo <= decisions[i - 1]!.decision.upTo)
      faults.push(`run ${run} decided twice on message ${decisions[i]!.decision.upTo}`);
  faults.push(...settledFirst(run, inbox, decisions), ...timersNotEarly(run, inbox, events));
  faults.push(...(await replay(run, inbox, decisions, workflows)));
  return faults;
}

/** Guarantee 5: replaying a history gives the same decisions. */
async function replay(
  run: string,
  inbox: Told["inbox"],
  decisions: Told["decisions"],
  workflows: readonly AnyWorkflow[],
): Promise<string[]> {
  const started = inbox[0]!.message;
  if (started.type !== "RunStarted") return [];
  const { workflow: name, version } = started;
  const workflow = workflows.find((w) => w.name === name && w.version === version)!;
  const fault = await replayRun(workflow, { run, inbox, decisions: decisions.map((d) => d.decision) });
  if (fault) return [`run ${run} diverges from its replay: ${fault.message}`];
  return checkSegments(run, { inbox, decisions }, workflow);
}

/** Guarantee 8: compensations start only when every slot before them has an outcome. */
function settledFirst(run: string, inbox: Told["inbox"], decisions: Told["decisions"]): string[] {
  const open = new Set<number>();
  const waiting = new Set<number>();
  let read = 0;
  for (const { decision } of decisions) {
    for (; read < inbox.length && inbox[read]!.seq <= decision.upTo; read++) {
      const { message } = inbox[read]!;
      // A cancelled step that was about to wait for its next attempt has no command out any more.
      if ("slot" in message && message.type !== "TimerFired" && message.type !== "StepStartedTwice")
        open.delete(message.slot);
    }
    for (const event of decision.events) {
      if (event.type === "StepScheduled" && event.compensation && open.size > 0)
        return [`run ${run} compensates (slot ${event.slot}) while slots ${[...open]} are open`];
      if (event.type === "RetryScheduled") waiting.add(event.slot);
      if (event.type === "SlotsCancelled") for (const slot of event.slots) if (waiting.has(slot)) open.delete(slot);
      if (event.type === "StepRescheduled") waiting.delete(event.slot);
      if (event.type === "StepScheduled" || event.type === "StepRescheduled") open.add(event.slot);
      if (event.type === "ChildScheduled" && event.onParentClose !== "abandon") open.add(event.slot);
    }
  }
  return [];
}

/** Guarantee 7: timers never fire early. */
function timersNotEarly(run: string, inbox: Told["inbox"], events: RunEvent[]): string[] {
  const fireAt = new Map(events.flatMap((e) => (e.type === "TimerStarted" ? [[e.slot, e.fireAt] as const] : [])));
  return inbox.flatMap(({ at, message }) =>
    message.type === "TimerFired" && at < (fireAt.get(message.slot) ?? 0)
      ? [`timer ${message.slot} of run ${run} fired early`]
      : [],
  );
}
