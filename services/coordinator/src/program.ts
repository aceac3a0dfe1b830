import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyWorkflow } from "@stepstream/sdk";

/** What the programs of this package have in common. */

/** The workflows that modules export, under any name. Ends the program if there are none. */
export async function loadWorkflows(modules: string[]): Promise<AnyWorkflow[]> {
  const found = new Set<AnyWorkflow>();
  for (const module of modules) {
    const exported = await import(pathToFileURL(resolve(module)).href).catch((error) => giveUp(whereFrom(error)));
    for (const value of Object.values(exported).flat())
      if ((value as AnyWorkflow | undefined)?.kind === "workflow") found.add(value as AnyWorkflow);
  }
  if (found.size > 0) return [...found];
  return giveUp(`No workflow is exported by ${modules.join(", ")}.`, 2);
}

/** An error of a module that cannot be loaded: the line of code it is about, and not the lines of the loader. */
function whereFrom(error: unknown): string {
  const { stack = String(error) } = error as Error;
  return stack
    .split("\n")
    .filter((line) => !/^ +at .*(node:internal\/|program\.[jt]s)/.test(line))
    .join("\n");
}

/** What went wrong before anything was started, in words and not in a stack. */
export function giveUp(error: unknown, code = 1): never {
  console.error(error instanceof Error ? error.message : error);
  process.exit(code);
}
