import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile } from "./compile.ts";

const here = fileURLToPath(new URL(".", import.meta.url));

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

describe("the compiler", async () => {
  const source = await readFile(join(here, "wrong-wiring.ts"), "utf8");
  const expected = expectations(source);
  const said = await compile(source.replaceAll(/^\/\/ @ts-expect-error.*$/gm, "//"));

  it.each(expected)("refuses `$code`", ({ line, message }) => expect(said.get(line)).toContain(message));

  it("says it in less than 300 characters where a literal does not fit", () => {
    const literals = expected.filter(({ message }) => /output does not fit|"a" \| "b"/.test(message));
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
