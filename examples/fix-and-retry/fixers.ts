/**
 * Repairs one named problem at a time: the first that a tool's output names and that is known here.
 * A repair that was made already changes nothing, so an attempt may be run again.
 */

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

interface Repair {
  file: string;
  what: string;
}
type Fixer = (folder: string, output: string) => Promise<Repair | undefined>;

/** The one for each gate. */
export const FIXERS: Record<string, Fixer> = {
  types: takeTheCompilersAdvice,
  lint: applyTheRule,
  "unit tests": useARecipe,
};

/** `src/a.ts(9,27): error TS2551: Property 'toFixd' … Did you mean 'toFixed'?` → does what it says. */
async function takeTheCompilersAdvice(folder: string, output: string): Promise<Repair | undefined> {
  const [, file, line, wrong, right] =
    /^(\S+)\((\d+),\d+\): error TS2551: Property '(\w+)'.*Did you mean '(\w+)'\?/m.exec(output) ?? [];
  if (!file || !wrong || !right) return undefined;
  await edit(join(folder, file), (lines) => {
    const at = Number(line) - 1;
    lines[at] = lines[at]!.replace(wrong, right);
  });
  return { file, what: `${wrong} → ${right}, as the compiler suggests` };
}

/** `src/a.ts:3:3 lint/style/useConst  FIXABLE` → has biome fix that rule in that file, and no other. */
async function applyTheRule(folder: string, output: string): Promise<Repair | undefined> {
  const [, file, rule] = /^(\S+):\d+:\d+ lint\/(\w+\/\w+)\s+FIXABLE/m.exec(output) ?? [];
  if (!file || !rule) return undefined;
  const biome = join(folder, "node_modules/@biomejs/biome/bin/biome");
  await run(process.execPath, [biome, "lint", "--write", `--only=${rule}`, file], { cwd: folder });
  return { file, what: `rule ${rule}, by biome's own fix` };
}

/** What is known about failing tests, by their names. */
const RECIPES = [{ test: "nearest cent", file: "src/price.ts", find: "Math.floor(", put: "Math.round(" }];

async function useARecipe(folder: string, output: string): Promise<Repair | undefined> {
  const recipe = RECIPES.find(({ test }) => new RegExp(`^✖ .*${test}`, "m").test(output));
  if (!recipe) return undefined;
  const { file, find, put } = recipe;
  await edit(join(folder, file), (lines) => {
    for (const [i, line] of lines.entries()) lines[i] = line.replace(find, put);
  });
  return { file, what: `${find}) → ${put}), the recipe for tests of the ${recipe.test}` };
}

async function edit(path: string, change: (lines: string[]) => void): Promise<void> {
  const lines = (await readFile(path, "utf8")).split("\n");
  change(lines);
  await writeFile(path, lines.join("\n"));
}
