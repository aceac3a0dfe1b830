import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyWorkflow } from "@stepstream/sdk";
import { builtinWorkflows } from "@stepstream/sdk/builtin";
import { whileLoading } from "@stepstream/watchdog";
import { CliError, EXIT } from "./exit.ts";

/**
 * The workflows that modules export, under any name, and the built-in ones. By `<name>@<version>`.
 *
 * A module whose code does not return ends the process.
 *
 * @throws {CliError} A module cannot be loaded, or none exports a workflow.
 */
export async function loadWorkflows(modules: readonly string[], cwd: string): Promise<Map<string, AnyWorkflow>> {
  const found = new Map<string, AnyWorkflow>();
  for (const module of modules) {
    const path = resolve(cwd, module);
    const load = () => import(pathToFileURL(path).href);
    const exported = await whileLoading(path, load, giveUp).catch((cause) => {
      throw new CliError(`${path} cannot be loaded.`, EXIT.usage, { cause });
    });
    for (const value of Object.values(exported).flat())
      if ((value as AnyWorkflow | undefined)?.kind === "workflow") {
        const workflow = value as AnyWorkflow;
        found.set(`${workflow.name}@${workflow.version}`, workflow);
      }
  }
  if (found.size === 0) throw new CliError(`No workflow is exported by ${modules.join(", ")}.`, EXIT.usage);
  for (const workflow of builtinWorkflows) found.set(`${workflow.name}@${workflow.version}`, workflow);
  return found;
}

/** In the middle of code that does not return: nothing else can be done. */
function giveUp(message: string): never {
  console.error(message);
  process.exit(EXIT.usage);
}
