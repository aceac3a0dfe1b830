import type { InboxMessage } from "@stepstream/contracts";
import { replayRun } from "@stepstream/coordinator";
import type { AnyWorkflow, HistoryEntry, RunHandle } from "@stepstream/sdk";

/** A run's history with its id, as JSON can hold it: to be kept beside the code, for `expectReplay`. */
export interface ExportedRun {
  readonly run: string;
  readonly history: readonly HistoryEntry[];
}

/** @returns What `expectReplay` needs, free of everything that JSON cannot hold. */
export async function exportRun(run: RunHandle<any>): Promise<ExportedRun> {
  return JSON.parse(JSON.stringify({ run: run.id, history: await run.history() })) as ExportedRun;
}

/**
 * Replays a history with the code as it is now: it has to decide what was decided then.
 *
 * @param recorded - What `exportRun(run)` made, or `run.history()`. That does not know the run's id, which is in
 *   `w.runId` and the seed of `w.random()` and `w.uuid()`: pass it on as `options.run` if the workflow uses them.
 * @throws {NonDeterminismError} It decides something else; both sides are in the message.
 * @throws {StalledError} It waits for something that no history holds.
 * @throws {RangeError} It is no history of this workflow.
 */
export async function expectReplay(
  workflow: AnyWorkflow,
  recorded: ExportedRun | readonly HistoryEntry[],
  options: { run?: string } = {},
): Promise<void> {
  const exported: ExportedRun = "history" in recorded ? recorded : { run: "replayed", history: recorded };
  const { history } = exported;
  const run = options.run ?? exported.run;
  const inbox = history.flatMap(({ seq, at, ...entry }) =>
    entry.kind === "inbox" ? [{ seq, at, message: entry.message as InboxMessage }] : [],
  );
  const decisions = history.flatMap((entry) => (entry.kind === "journal" ? [entry.message] : []));
  const start = inbox[0]?.message;
  if (start?.type !== "RunStarted")
    throw new RangeError("It is no history of a run: it does not begin with its start.");
  if (start.workflow !== workflow.name)
    throw new RangeError(`It is a history of workflow "${start.workflow}", not of "${workflow.name}".`);

  const fault = await replayRun(workflow, { run, inbox, decisions });
  if (fault) throw fault;
}
