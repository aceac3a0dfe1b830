import type { Decided, RunExecution } from "../run/execution.ts";
import { finishTurn } from "../run/turn.ts";
import type { Deps } from "./deps.ts";
import type { History } from "./history.ts";

/** Folds what the journal has the decisions of, and compares. */
export async function replay(deps: Pick<Deps, "boundary">, execution: RunExecution, history: History): Promise<void> {
  const { continued, inbox, upTo } = history;
  const extra: Decided[] = [];
  if (continued) {
    execution.resume(continued);
    extra.push(...(await finishTurn(execution, deps.boundary)));
  }
  for (const { seq, at, message } of inbox) {
    if (seq > upTo) break;
    execution.fold(seq, at, message);
    extra.push(...(await finishTurn(execution, deps.boundary)));
  }
  execution.checkReplayed(extra);
}
