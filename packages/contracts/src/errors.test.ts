import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as errors from "./errors.ts";

const ROOT = new URL("../../../", import.meta.url);
const page = readFileSync(new URL("docs/errors.md", ROOT), "utf8").replaceAll("\r\n", "\n");

/** Each `### CODE (Class)` of the page with its text. */
const entries = page
  .split(/^### /m)
  .slice(1)
  .map((text) => ({ title: text.split("\n")[0]!, text: text.split(/^## /m)[0]! }));
const documented = entries.flatMap(({ title }) => /^([A-Z][A-Z0-9_]+)(?: \(`(\w+)`\))?$/.exec(title)?.[1] ?? []);

/** Every `code = "SOME_CODE"` and `code: "SOME_CODE"` in what we ship. */
function codesInSource(): Map<string, string> {
  const codes = new Map<string, string>();
  for (const folder of ["packages/", "services/", "infra/"])
    for (const file of readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" })) {
      if (!/\.ts$/.test(file) || /node_modules|\.test\.ts$|\bdist\b|examples\.ts$/.test(file)) continue;
      const source = readFileSync(new URL(folder + file.replaceAll("\\", "/"), ROOT), "utf8");
      for (const [, code] of source.matchAll(/\bcode ?[=:] "([A-Z][A-Z0-9_]+)"/g)) codes.set(code!, folder + file);
    }
  return codes;
}

const inSource = codesInSource();

describe("docs/errors.md", () => {
  it("explains every code that the source has", () => {
    for (const [code, file] of inSource)
      expect(documented, `${code} of ${file} needs an entry: what happened, what did not, what to do`).toContain(code);
  });

  it("explains no code that the source does not have", () => {
    for (const code of documented) expect([...inSource.keys()]).toContain(code);
    expect(new Set(documented).size).toBe(documented.length);
  });

  it("names the class of each", () => {
    const classes = Object.keys(errors).filter((name) => !["StepstreamError", "RemoteError"].includes(name));
    for (const name of classes) expect(page).toMatch(new RegExp(`^### .*\`${name}\``, "m"));
  });

  it.each(entries)("says what happened, what did not, and what to do, with an example: $title", ({ text }) => {
    expect(text).toMatch(
      /\*\*What happened\.\*\* \S.*\n- \*\*What did not\.\*\* \S.*\n- \*\*What to do\.\*\* \S.*\n\n```/s,
    );
  });

  it("lists each once at the top, with a link that leads there", () => {
    const anchors = entries.map(({ title }) =>
      title
        .toLowerCase()
        .replace(/[^\w -]/g, "")
        .replaceAll(" ", "-"),
    );
    const links = [...page.matchAll(/^\| \[.*?\]\(#(.*?)\)/gm)].map((match) => match[1]!);
    expect(links).toEqual(anchors);
  });
});
