/** docs/features.md promises examples and tests for each construct: they are there. */

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { model } from "../simulation/model.ts";

const DOCS = new URL("../../docs/", import.meta.url);
const page = readFileSync(new URL("features.md", DOCS), "utf8");
const rows = page.split("\n").filter((line) => line.startsWith("| **"));
const simulated = new Set(
  [...readFileSync(new URL("../simulation/model.ts", import.meta.url), "utf8").matchAll(/(\w+)/g)].map(
    ([name]) => name,
  ),
);

describe("docs/features.md", () => {
  it("has a line for each construct", () => expect(rows.length).toBeGreaterThanOrEqual(20));

  it.each(rows.map((row) => [row.split("|")[1]!.trim(), row] as const))("links to what is there: %s", (_what, row) => {
    const cells = row.split("|").map((cell) => cell.trim());
    expect(cells).toHaveLength(9);
    for (const [, path, name] of row.matchAll(/\]\(([^)#]+)\)(?: "([^"]+)")?/g)) {
      const file = new URL(path!, DOCS);
      expect(existsSync(file), path).toBe(true);
      if (name) expect(readFileSync(file, "utf8"), `${path} has no test "${name}"`).toContain(name);
    }
    for (const [, name] of cells[6]!.matchAll(/`(\w+)`/g))
      expect(simulated, `${name} is not simulated`).toContain(name);
    expect(model.workflows.length).toBeGreaterThan(10);
  });
});
