import type { Decided, RunExecution } from "../run/execution.ts";
import type { Deps } from "./deps.ts";
import type { History } from "./history.ts";

/** Folds what the journal has the decisions of, and compares. */
export async function replay(deps: Pick<Deps, "turns">, execution: RunExecution, history: History): Promise<void> {
  const { continued, inbox, upTo } = history;
  const extra: Decided[] = [];
  if (continued) {
    extra.push(...(await deps.turns.of(execution, () => execution.resume(continued))));
  }
  for (const { seq, at, message } of inbox) {
    if (seq > upTo) break;
    extra.push(...(await deps.turns.of(execution, () => execution.fold(seq, at, message))));
  }
  execution.checkReplayed(extra);
}
