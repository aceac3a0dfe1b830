import type { Decision, RunContinued } from "@stepstream/contracts";
import { finishTurn, RunExecution, withoutForcedEnd } from "@stepstream/coordinator";
import type { AnyWorkflow } from "@stepstream/sdk";
import type { Told } from "./history.ts";

interface Part {
  run: string;
  inbox: Told["inbox"];
  decisions: readonly Decision[];
}

/**
 * Guarantee 5, for coordinators: they take a run up where it last went on as new, from what its decisions say of that place,
 * and must come to the same. Looked at for each run segment, whether somebody took it up or not.
 *
 * @returns What is not so.
 */
export async function checkSegments(run: string, { inbox, decisions }: Told, workflow: AnyWorkflow): Promise<string[]> {
  const faults: string[] = [];
  for (const part of Map.groupBy(decisions, ({ decision }) => decision.segment?.journalAfter).values()) {
    const [{ decision: first }] = part as [Told["decisions"][number]];
    if (!first.segment) continue;
    const { inboxAfter } = first.segment;
    const recorded: Part = {
      run,
      inbox: inbox.filter(({ seq }) => seq > inboxAfter),
      decisions: part.map(({ decision }) => decision),
    };
    const fault = await replay(workflow, recorded);
    const rest = fault && withoutForcedEnd(recorded);
    const why = rest ? await replay(workflow, rest as Part) : fault;
    if (why) faults.push(`run ${run} cannot be taken up where it went on as new, at decision ${part[0]!.seq}: ${why}`);
  }
  return faults;
}

async function replay(workflow: AnyWorkflow, { run, inbox, decisions }: Part): Promise<string | undefined> {
  const events = decisions.flatMap((decision) => decision.events);
  const at = events.findLastIndex((event) => event.type === "RunContinued");
  if (at < 0) return "no decision of this part goes on as new";
  const upTo = decisions.at(-1)!.upTo;
  const execution = new RunExecution(run, workflow, events.slice(at + 1), upTo);
  execution.resume(events[at] as RunContinued);
  const extra = await finishTurn(execution, macrotask);
  for (const { seq, at: storedAt, message } of inbox) {
    if (seq > upTo) break;
    execution.fold(seq, storedAt, message);
    extra.push(...(await finishTurn(execution, macrotask)));
  }
  execution.checkReplayed(extra);
  return execution.fault?.message;
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
