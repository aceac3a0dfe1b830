/**
 * The real linters, as a user runs them: a folder with the configuration that docs/determinism.md shows, the package in its
 * node_modules, and the linter as a process.
 */

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const DOCS = path("../../../docs/determinism.md");

/** fixtures/src/bad.ts: line, rule, and whether Biome finds it too. Nothing else is found anywhere. */
const EXPECTED: readonly [line: number, rule: string, biome: boolean][] = [
  [13, "no-nondeterminism", true],
  [14, "no-nondeterminism", true],
  [15, "no-nondeterminism", true],
  [16, "no-nondeterminism", true],
  [17, "no-nondeterminism", true],
  [18, "no-nondeterminism", true],
  [19, "no-nondeterminism", true],
  [20, "no-nondeterminism", true],
  [21, "no-nondeterminism", true],
  [22, "no-nondeterminism", true],
  [23, "no-nondeterminism", false], // a name from a module
  [24, "no-nondeterminism", true],
  [25, "no-io-in-workflow", false], // a call that is not given `w`
  [26, "no-io-in-workflow", true],
  [27, "no-io-in-workflow", true],
  [28, "no-io-in-workflow", true],
  [29, "no-shared-state", false],
  [30, "no-shared-state", false],
  [31, "no-floating-step", true],
  [32, "no-floating-step", true],
  [33, "no-floating-step", true],
  [34, "no-floating-step", true],
  [37, "no-implicit-locale", true],
  [37, "no-implicit-locale", true],
  [38, "no-implicit-locale", true],
  [43, "no-nondeterminism", true],
  [47, "prefer-named-branches", false],
  [48, "prefer-named-branches", false],
  [49, "prefer-named-branches", false],
];
const findings = EXPECTED.map(([line, rule]) => `bad.ts:${line}:${rule}`).sort();

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "stepstream-lint-"));
  await cp(path("./fixtures"), project, { recursive: true });
  await mkdir(join(project, "node_modules/@stepstream"), { recursive: true });
  await mkdir(join(project, "node_modules/@typescript-eslint"));
  await symlink(path(".."), join(project, "node_modules/@stepstream/lint"), "junction");
  const parser = path("../node_modules/@typescript-eslint/parser");
  await symlink(parser, join(project, "node_modules/@typescript-eslint/parser"), "junction");
  await writeFile(join(project, "package.json"), '{ "type": "module" }');
  // The configurations are those of the documentation, letter by letter.
  const docs = await readFile(DOCS, "utf8");
  for (const [, file, text] of docs.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm))
    await writeFile(join(project, file!), text!);
});
afterAll(() => rm(project, { recursive: true, force: true }));

/** Runs a linter's program; linters that find something end with 1. */
function lint(program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [path(program), ...args], { cwd: project }, (error, stdout, stderr) => {
      if (error && error.code !== 1) reject(new Error(`${program}: ${stdout}${stderr}`, { cause: error }));
      else resolve(stdout);
    });
  });
}

interface Finding {
  line: number;
  rule: string;
  message: string;
}

const short = (file: string) => file.split(/[\\/]/).at(-1);

async function withEslint(program: string): Promise<string[]> {
  const report: { filePath: string; messages: { line: number; ruleId: string }[] }[] = JSON.parse(
    await lint(program, "--format", "json", "src"),
  );
  expect(report.map(({ filePath }) => short(filePath)).sort()).toEqual(["bad.ts", "good.ts", "load.ts"]);
  return report
    .flatMap(({ filePath, messages }) =>
      messages.map(({ line, ruleId }) => `${short(filePath)}:${line}:${ruleId.replace("stepstream/", "")}`),
    )
    .sort();
}

async function messagesOfEslint(): Promise<Finding[]> {
  const report: { messages: { line: number; ruleId: string; message: string }[] }[] = JSON.parse(
    await lint("../node_modules/eslint/bin/eslint.js", "--format", "json", "src/bad.ts"),
  );
  return report[0]!.messages.map(({ line, ruleId, message }) => ({ line, rule: ruleId, message }));
}

describe("the linters, on a project of a user's", () => {
  it("ESLint 10 finds it", async () => {
    expect(await withEslint("../node_modules/eslint/bin/eslint.js")).toEqual(findings);
  });

  it("ESLint 9 finds the same", async () => {
    expect(await withEslint("../node_modules/eslint-9/bin/eslint.js")).toEqual(findings);
  });

  it("oxlint finds the same", async () => {
    const report: { diagnostics: { code: string; filename: string; labels: { span: { line: number } }[] }[] } =
      JSON.parse(await lint("../node_modules/oxlint/bin/oxlint", "--format", "json", "src"));
    const found = report.diagnostics.flatMap(({ code, filename, labels }) => {
      const rule = /^stepstream\((.*)\)$/.exec(code)?.[1];
      return rule ? [`${short(filename)}:${labels[0]!.span.line}:${rule}`] : [];
    });
    expect(found.sort()).toEqual(findings);
  });

  it("Biome finds what can be said in patterns, in the same words", async () => {
    // JSON is for programs, but experimental; the GitHub reporter's lines are not.
    const out = await lint(
      "../../../node_modules/@biomejs/biome/bin/biome",
      "lint",
      "--only=plugin",
      "--reporter=github",
      "src",
    );
    const found = [...out.matchAll(/title=plugin,file=(.*?),line=(\d+),.*?::(.*)$/gm)].map(
      ([, file, line, message]) => ({
        at: `${short(file!)}:${line}`,
        message: decodeURIComponent(message!),
      }),
    );
    const expected = EXPECTED.filter(([, , biome]) => biome).map(([line]) => `bad.ts:${line}`);
    expect(found.map(({ at }) => at).sort()).toEqual(expected.sort());
    // ESLint knows which module a name is from, and says so.
    const said = (await messagesOfEslint()).map(
      ({ line, message }) => `bad.ts:${line} ${message.replace(/ of ".*?"/, "")}`,
    );
    for (const { at, message } of found) expect(said).toContain(`${at} ${message}`);
  });
});
