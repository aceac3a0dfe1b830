import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const here = fileURLToPath(new URL(".", import.meta.url));
const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));

const EXPECTATION = /^\/\/ @ts-expect-error: (.*)$/;

interface Expected {
  /** The line at fault, from 1. */
  line: number;
  code: string;
  message: string;
}

function expectations(source: string): Expected[] {
  const lines = source.split("\n");
  return lines.flatMap((text, i) => {
    const message = EXPECTATION.exec(text)?.[1];
    return message === undefined ? [] : [{ line: i + 2, code: lines[i + 1]!, message }];
  });
}

/** What tsc says about a source beside this file: all messages of each line. */
async function compile(source: string): Promise<Map<number, string>> {
  const folder = await mkdtemp(join(here, ".compiled-"));
  try {
    await writeFile(join(folder, "source.ts"), source);
    const config = { extends: "../../../tsconfig.base.json", include: ["source.ts"] };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    const args = [tsc, "-p", folder, "--pretty", "false"];
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, args, { maxBuffer: 1 << 24 }, (_error, stdout, stderr) => resolve(stdout + stderr));
    });
    const messages = new Map<number, string>();
    let line: number | undefined;
    for (const text of output.split("\n")) {
      const head = /^(.*)\((\d+),\d+\): (error .*)$/.exec(text);
      // A fault in another file is not this test's business.
      if (head) line = head[1]!.endsWith("source.ts") ? Number(head[2]) : undefined;
      if (line !== undefined) messages.set(line, `${messages.get(line) ?? ""}${head?.[3] ?? text}\n`);
    }
    return messages;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("the compiler", async () => {
  const source = await readFile(join(here, "wrong-wiring.ts"), "utf8");
  const expected = expectations(source);
  const said = await compile(source.replaceAll(/^\/\/ @ts-expect-error.*$/gm, "//"));

  it.each(expected)("refuses `$code`", ({ line, message }) => expect(said.get(line)).toContain(message));

  it("says it in less than 300 characters where a literal does not fit", () => {
    const literals = expected.filter(({ message }) => /HandlerMustReturn|"a" \| "b"/.test(message));
    expect(literals.length).toBeGreaterThanOrEqual(12);
    for (const { line, code } of literals)
      expect({ code, long: said.get(line)!.length >= 300 }).toEqual({ code, long: false });
  });

  it("is asked about 60 wrong wirings or more", () => expect(expected.length).toBeGreaterThanOrEqual(60));

  it("finds fault with nothing else", () => {
    const known = new Set(expected.map(({ line }) => line));
    expect([...said].filter(([line]) => !known.has(line))).toEqual([]);
  });
});
