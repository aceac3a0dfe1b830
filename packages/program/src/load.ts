import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { whileLoading } from "@stepstream/watchdog";
import { giveUp } from "./arguments.ts";

/**
 * What a module of the user's exports. @param path - From the working directory. Ends the program if it cannot be loaded,
 * also because its code does not return.
 */
export async function load(path: string): Promise<Record<string, unknown>> {
  const file = resolve(path);
  return whileLoading(file, () => import(pathToFileURL(file).href), giveUp).catch((error) => giveUp(whereFrom(error)));
}

/** An error of a module that cannot be loaded: the line of code it is about, and not the lines of the loader. */
function whereFrom(error: unknown): string {
  const { stack = String(error) } = error as Error;
  return stack
    .split("\n")
    .filter((line) => !/^ +at .*(node:internal\/|\/program\/(src|dist)\/load\.)/.test(line))
    .join("\n");
}
