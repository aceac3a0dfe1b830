/** What the rules say is what the coordinator does, what the documentation says, and what our own examples keep to. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import tsParser from "@typescript-eslint/parser";
import { ESLint, Linter } from "eslint";
import { beforeAll, describe, expect, it } from "vitest";
import stepstream from "../src/index.ts";
import { ANSWERED, CALLED, GLOBALS } from "../src/instead.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const read = (relative: string) => readFile(path(relative), "utf8");

describe("what the coordinator refuses", () => {
  /** Global → what to use instead, as the guard of the SDK has it. */
  const refused = new Map<string, string>();
  let guards: string;
  beforeAll(async () => {
    guards = await read("../../sdk/src/guard.ts");
    const globals = /function install\(\)[\s\S]*?\n\}/.exec(guards)![0];
    for (const [, owner, key, instead] of globals.matchAll(/refuse\((\w+)(?: && .*?)?, "(\w+)", "(.*?)"\)/g))
      refused.set(owner === "globalThis" ? key! : `${owner}.${key}`, instead!);
    expect(refused.size).toBeGreaterThanOrEqual(6);
  });

  it("the rules refuse in the same words", () => {
    expect(Object.fromEntries([...refused.keys()].map((name) => [name, GLOBALS.get(name)]))).toEqual(
      Object.fromEntries(refused),
    );
    for (const name of refused.keys()) expect(CALLED).toContain(name);
    // What hangs on `process`, and is not refused by the name of a global of its own.
    for (const name of ["hrtime", "uptime"]) {
      expect(guards).toMatch(
        new RegExp(`for \\(const key of \\[.*"${name}".*\\]\\) refuse\\(process, key, "w\\.now\\(\\)"`),
      );
      expect(GLOBALS.get(`process.${name}`)).toBe("w.now()");
    }
  });

  it("the rules let pass what it answers", () => {
    for (const name of ANSWERED.keys()) {
      expect(GLOBALS.has(name)).toBe(false);
      const last = name.split(".").at(-1);
      expect(guards).toMatch(new RegExp(name === "Date" ? 'replace\\(globalThis, "Date"' : `answer\\(.*, "${last}", `));
    }
  });

  it("the documentation lists the same", async () => {
    const docs = await read("../../../docs/determinism.md");
    const [section] = /## What is refused\n[\s\S]*?\n## /.exec(docs)!;
    const rows = [...section.matchAll(/^\| `(.*?)` \| (.*?) \|$/gm)].map(([, name, instead]) => [name, instead]);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(refused));
    for (const rule of Object.keys(stepstream.rules)) expect(docs).toContain(`| \`${rule}\` |`);
  });

  it("Biome's plugin says it of each", async () => {
    const grit = await read("../biome/no-nondeterminism.grit");
    for (const [name, instead] of GLOBALS) {
      const what = CALLED.has(name) ? `${name}()` : name;
      if (name !== "process")
        expect(grit).toMatch(new RegExp(`what\\s*=\\s*"${literal(what)}",\\s*instead\\s*=\\s*"${literal(instead)}"`));
    }
  });
});

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

describe("Biome's plugins", () => {
  it("mean the same by workflow code", async () => {
    const files = (await readdir(path("../biome"))).filter((file) => file.endsWith(".grit"));
    const heads = await Promise.all(
      files.map(
        async (file) => /^language js[\s\S]*?predicate in_workflow[\s\S]*?\}/.exec(await read(`../biome/${file}`))?.[0],
      ),
    );
    expect(heads.length).toBeGreaterThan(1);
    expect(new Set(heads).size).toBe(1);
    expect(heads[0]).toContain("within workflow_code()");
  });
});

describe("our own examples", () => {
  const parser = tsParser as unknown as Linter.Parser;
  const config: Linter.Config[] = [{ files: ["**/*.ts"], languageOptions: { parser } }, stepstream.configs.recommended];
  const EXAMPLES = path("../../../examples");

  it("keep to the recommended rules", async () => {
    const eslint = new ESLint({ cwd: EXAMPLES, overrideConfigFile: true, baseConfig: config });
    const reports = await eslint.lintFiles(["**/*.ts"]);
    expect(reports.length).toBeGreaterThan(30);
    const found = reports.flatMap(({ filePath, messages }) =>
      messages.map(({ line, ruleId, message }) => `${filePath}:${line} ${ruleId} ${message}`),
    );
    expect(found).toEqual([]);
  });

  it("are looked at: a fetch in any of their workflows is found", async () => {
    const linter = new Linter();
    let workflows = 0;
    for (const file of await readdir(EXAMPLES, { recursive: true })) {
      if (!file.endsWith(".ts") || file.includes("node_modules")) continue;
      const source = await readFile(join(EXAMPLES, file), "utf8");
      if (!/\bworkflow\(/.test(source)) continue;
      // Every function that takes a `w` gets one.
      let changed = 0;
      const worse = source.replace(/, w(?:: WorkflowContext)?\) =>(\s*\{)?/g, (head, brace?: string) => {
        changed++;
        return brace ? `${head} fetch("x");` : `${head} fetch("x") &&`;
      });
      const found = linter
        .verify(worse, config, { filename: "x.ts" })
        .filter(({ fatal, ruleId }) => fatal || ruleId === "stepstream/no-nondeterminism");
      expect({ file, found: found.length, first: found[0]?.message }).toEqual({
        file,
        found: changed,
        first: "fetch() is not deterministic and cannot be used in a workflow. Use a step instead.",
      });
      workflows += changed;
    }
    expect(workflows).toBeGreaterThan(20);
  });
});
