/** docs/testing.md shows nothing that is not run: each of its snippets is part of a file of this folder. */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => readFile(new URL(path, ROOT), "utf8");

it("every snippet of the page is in the file that it names", async () => {
  const page = await read("docs/testing.md");
  const snippets = [...page.matchAll(/<!-- (\S+) -->\n```ts\n([\s\S]*?)```/g)];
  expect(snippets.length).toBeGreaterThan(10);
  expect(snippets).toHaveLength(page.split("```ts").length - 1);
  for (const [, file, snippet] of snippets) expect(await read(file!), file).toContain(snippet);
});

it("the test for node:test passes, and its process ends by itself", async () => {
  const file = fileURLToPath(new URL("./subscription.node.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file], { env: { ...process.env, NODE_OPTIONS: "" } });
  expect(stdout).toMatch(/pass 1\b/);
});
