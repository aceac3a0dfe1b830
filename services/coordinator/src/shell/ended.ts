import {
  type ChildEnded,
  InvariantError,
  isTerminal,
  type RunStarted,
  type TerminalEvent,
  toFailure,
  WorkflowCancelledError,
  WorkflowTerminatedError,
} from "@stepstream/contracts";
import { markOf } from "../run/execution.ts";
import { type Parent, stopChild } from "./children.ts";
import { removeCommand } from "./commands.ts";
import type { Deps } from "./deps.ts";
import { askToStop } from "./effects.ts";
import { readHistory, startedAtOf, startOf } from "./history.ts";
import { retrying } from "./retrying.ts";

/**
 * What the end of a run wants done, once it is in the journal and before the message that led to it is
 * acknowledged. Safe to do again.
 *
 * Z1. A parent is told the end of its child.
 * Z2. What a terminated run had open is removed: its commands, its timers; its children are told.
 * Z3. As soon as the end is in the journal, a client may delete the run and start another under its id. Commands of that
 *     one are not removed: they were asked for by later messages.
 *
 * Z1 is asserted before the message that led to the end is acknowledged ("ended Z1").
 *
 * Checked elsewhere:
 *   Z2  ../../../../test/e2e/outside.test.ts: ends a run at once, removes its commands, and ignores what still works
 *   Z3  ../../../../test/e2e/starting.test.ts: gets another run in its place; a late result of the old one fits no slot of the new
 *
 * @param upTo - The inbox message that led to the end.
 */
export async function afterEnd(
  deps: Deps,
  run: Parent,
  end: TerminalEvent,
  upTo: number,
  wanted: () => boolean,
): Promise<void> {
  const { parent } = run.started;
  if (end.type === "RunTerminated") await clear(deps, run, end, upTo, wanted);
  if (!parent) return;
  const { log } = deps;
  const message = JSON.stringify(endOfChild(run.runId, parent, end));
  const append = () =>
    log.append(log.subjects.inboxFrom("coordinator", parent.run), message, { id: `${run.mark}.${parent.slot}.ended` });
  const told = await retrying(deps, "report the end of a child to its parent", append, wanted, run.runId);
  if (!(told && told.seq > 0) && wanted())
    throw new InvariantError("ended Z1", `run ${parent.run} was not told of its end`, { run: run.runId });
}

/** Reports the end of a run that is over to its parent again, if it has one. Anyone may: it is the same message. */
export async function reportEnd(deps: Deps, run: string, wanted: () => boolean): Promise<void> {
  const history = await readHistory(deps, run, 0, true);
  const started = startOf(history);
  const end = history.events.at(-1);
  if (!started?.parent || !end || !isTerminal(end)) return;
  const mark = markOf(run, startedAtOf(history, started));
  await afterEnd(deps, { runId: run, mark, started }, end, history.upTo, wanted);
}

function endOfChild(run: string, parent: NonNullable<RunStarted["parent"]>, end: TerminalEvent): ChildEnded {
  const { slot, after } = parent;
  const base = { v: 1, type: "ChildEnded", slot, child: run, ...(after !== undefined && { after }) } as const;
  switch (end.type) {
    case "RunCompleted":
      return { ...base, outcome: "completed", output: end.output };
    case "RunFailed":
      return { ...base, outcome: "failed", error: end.error };
    case "RunCancelled":
      return { ...base, outcome: "cancelled", error: toFailure(new WorkflowCancelledError(run, end.reason)) };
    case "RunTerminated":
      return { ...base, outcome: "terminated", error: toFailure(new WorkflowTerminatedError(run, end.reason)) };
    default:
      return end satisfies never;
  }
}

async function clear(
  deps: Deps,
  parent: Parent,
  end: Extract<TerminalEvent, { type: "RunTerminated" }>,
  upTo: number,
  wanted: () => boolean,
): Promise<void> {
  const { log } = deps;
  const { subjects } = log;
  const run = parent.runId;
  for (const child of end.children ?? [])
    await stopChild(deps, parent, { ...child, onParentClose: child.how }, end.reason, wanted);
  const remove = async () => {
    const commands = await log.list("COMMANDS", subjects.all.commandsOfRun(run));
    const slotOf = (subject: string) => subjects.parse(subject)?.slot ?? [];
    const slots = [...commands.keys()].flatMap(slotOf);
    if (slots.length > 0) {
      askToStop(log, { v: 1, type: "CancelSlots", run, slots, reason: end.reason, upTo });
    }
    for (const subject of commands.keys())
      await removeCommand(log, subject, ({ after }) => typeof after !== "number" || after <= upTo);
    const timers = await log.list("TIMERS", subjects.all.timersOfRun(run));
    for (const slot of [...timers.keys()].flatMap(slotOf)) await log.cancelTimer(run, slot);
  };
  await retrying(deps, "remove what a terminated run had open", remove, wanted, run);
}
