/**
 * The numbered promises of file headers ("R1. A slot has one outcome."). Each is either
 *
 * - an assertion, in any file of the product, that names it by its file and number: `holds(…, "scope C1", …)`; or
 * - in the list "Checked elsewhere:" of the same header, by one line of
 *     `E2  <test file>: <words of a test's name>`, `A4  rule <a rule of the simulation>` or `G1  "<another promise>"`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { mutations } from "../simulation/mutations.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = [
  "services/coordinator/src",
  "services/step-worker/src",
  "packages/contracts/src",
  "packages/event-log/src",
  "packages/sdk/src",
  "packages/watchdog/src",
  "packages/cli/src/doctor",
  "docs/.vitepress",
];
/** Files whose promises are named by what they hold. */
const NAMES: Record<string, string> = { execution: "run", "run-actor": "mailbox" };

const COMMENT = /\/\*\*[\s\S]*?\*\//g;
const PROMISE = /^\s*\*\s+([A-Z]\d+)\. /gm;
const ELSEWHERE = /^\s*\*\s+([A-Z]\d+(?: [A-Z]\d+)*) {2}(\S.*)$/gm;
const NAMED = /"([a-z-]+ [A-Z]\d+)"/g;

interface Header {
  readonly file: string;
  readonly promises: readonly string[];
  /** By number, where it is checked. */
  readonly elsewhere: ReadonlyMap<string, string>;
}

const sources = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => join(folder, file)),
);
const textOf = (file: string) => readFileSync(join(ROOT, file), "utf8");
const headers = sources.flatMap(headersOf);
const asserted = new Set(
  sources.flatMap((file) => [...textOf(file).replaceAll(COMMENT, "").matchAll(NAMED)].map(([, name]) => name!)),
);
const promised = new Set(headers.flatMap(({ file, promises }) => promises.map((number) => nameOf(file, number))));

function headersOf(file: string): Header[] {
  return [...textOf(file).matchAll(COMMENT)].flatMap(([comment]) => {
    const [head, list = ""] = comment.split("Checked elsewhere:");
    const promises = [...head!.matchAll(PROMISE)].map(([, number]) => number!);
    const lines = [...list.matchAll(ELSEWHERE)];
    const elsewhere = new Map(lines.flatMap(([, numbers, where]) => numbers!.split(" ").map((n) => [n, where!])));
    return promises.length > 0 ? [{ file, promises, elsewhere }] : [];
  });
}

function nameOf(file: string, number: string): string {
  const name = basename(file, ".ts");
  return `${NAMES[name] ?? name} ${number}`;
}

/** @returns What is wrong with the place that a promise is checked at. */
function wrongWith(file: string, where: string): string | undefined {
  const [, other] = /^"(.+)"$/.exec(where) ?? [];
  if (other !== undefined) return asserted.has(other) ? undefined : `nothing asserts "${other}"`;
  const [, rule] = /^rule (\S+)$/.exec(where) ?? [];
  if (rule !== undefined)
    return mutations.some((mutation) => mutation.rule === rule) ? undefined : `there is no rule "${rule}"`;
  const [, path, words] = /^(\S+\.ts): (.+)$/.exec(where) ?? [];
  if (path === undefined) return `"${where}" is no test, rule or promise`;
  const from = path.startsWith("test/") ? ROOT : join(ROOT, dirname(file));
  const test = resolve(from, path);
  if (!existsSync(test)) return `there is no ${path}`;
  return readFileSync(test, "utf8").includes(words!) ? undefined : `${path} has no test "${words}"`;
}

describe("the numbered promises of file headers", () => {
  it.each(headers)("are asserted, or checked elsewhere: $file", ({ file, promises, elsewhere }) => {
    const wrong = promises.flatMap((number) => {
      const where = elsewhere.get(number);
      if (where === undefined)
        return asserted.has(nameOf(file, number)) ? [] : [`${number}: no assertion names "${nameOf(file, number)}"`];
      const problem = wrongWith(file, where);
      return problem ? [`${number}: ${problem}`] : [];
    });
    for (const number of elsewhere.keys())
      if (!promises.includes(number)) wrong.push(`${number}: it is checked elsewhere, and not promised`);
    expect(wrong).toEqual([]);
  });

  it("are all that is asserted", () => {
    expect([...asserted].filter((name) => !promised.has(name))).toEqual([]);
  });
});
