import { giveUp, load, type Told, toldClock, toldConnection, toldDenial, words } from "@stepstream/program";
import type { AnyWorkflow } from "@stepstream/sdk";
import { type CoordinatorEvent, toldLoss } from "./shell/deps.ts";

/** The workflows that modules export, under any name. Ends the program if there are none. */
export async function loadWorkflows(modules: string[]): Promise<AnyWorkflow[]> {
  const found = new Set<AnyWorkflow>();
  for (const module of modules)
    for (const value of Object.values(await load(module)).flat())
      if ((value as AnyWorkflow | undefined)?.kind === "workflow") found.add(value as AnyWorkflow);
  if (found.size > 0) return [...found];
  return giveUp(`No workflow is exported by ${modules.join(", ")}.`, 2);
}

/** What a coordinator's log says. */
export const told: Told<CoordinatorEvent> = {
  partition: ["debug", ({ partition, owned }) => `partition ${partition} is ${owned ? "taken" : "let go"}`],
  decided: ["debug", ({ events }) => `decided ${events.join(", ")}`],
  rebuilt: ["debug", ({ messages }) => `rebuilt from ${messages} messages`],
  moved: ["debug", () => "another coordinator had decided first"],
  parked: ["error", ({ run, error }) => `run ${run} is parked: ${error.message}`],
  unparked: ["info", ({ run }) => `run ${run} goes on`],
  early: [
    "warn",
    ({ run, slot, seq, at, fireAt }) =>
      `ignored a message (sequence ${seq}) that the timer of slot ${slot} of run ${run} had fired, ${fireAt - at} ms early`,
  ],
  forgotten: [
    "warn",
    ({ run, workflow, what, position }) =>
      `workflow "${workflow}" ended without awaiting ${what}${position ? `, asked for at ${position}` : ""}; run ${run} cancelled it`,
  ],
  dead: ["error", ({ error }) => `a message went to the dead letters: ${error.message}`],
  handedOn: ["debug", ({ to }) => `handed on to ${to}`],
  stopped: [
    "error",
    ({ run, ms, where, query }) =>
      `${query ? `query "${query}"` : "the workflow code"} of run ${run} blocked the event loop for ${ms} ms and was stopped at ${where}`,
  ],
  restarted: ["warn", () => "started again from the log, on a new connection"],
  blocked: ["warn", ({ ms, where, over }) => `the event loop ${over ? "was" : "is"} blocked for ${ms} ms, at ${where}`],
  repaired: ["warn", () => "what a run waits for was gone from the log, and is stored again"],
  swept: [
    "info",
    ({ run, removed }) => {
      const counts = Object.entries(removed).map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`);
      return `removed what run ${run} had left: ${counts.join(", ")}`;
    },
  ],
  removed: [
    "info",
    ({ runs, archived }) => `removed ${runs} ended runs${archived ? ", which are in the archive" : ""}`,
  ],
  peers: ["info", ({ peers }) => `coordinators: ${peers.join(", ")}`],
  connection: ["warn", toldConnection],
  clock: ["warn", toldClock],
  lost: ["error", toldLoss],
  denied: ["error", toldDenial],
  trouble: ["warn", ({ what, run, error }) => `${what}${run === undefined ? "" : ` (run ${run})`}: ${words(error)}`],
};
