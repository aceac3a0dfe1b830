import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { remark } from "remark";
import remarkGfm from "remark-gfm";
import remarkValidateLinks from "remark-validate-links";
import { VFile } from "vfile";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Links of all Markdown files of the repository that lead nowhere: to files, headings and lines in it. Those to other
 * places are not looked at, nor those of the reference, which TypeDoc writes with anchors of its own.
 *
 * @returns A line each: `docs/a.md:3:7: …`.
 */
export async function brokenLinks(): Promise<string[]> {
  // What is new counts as well, what is ignored does not.
  const { stdout } = await promisify(execFile)(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", "*.md", ":!docs/reference"],
    { cwd: ROOT },
  );
  const broken: string[] = [];
  const processor = remark().use(remarkGfm).use(remarkValidateLinks, { root: ROOT, repository: false });
  for (const path of stdout.split("\n").filter((line) => line !== "")) {
    const value = await readFile(`${ROOT}${path}`, "utf8").catch(() => undefined);
    if (value === undefined) continue; // Removed, and not committed yet.
    const file = new VFile({ cwd: ROOT, path: `${ROOT}${path}`, value });
    await processor.process(file);
    broken.push(...file.messages.map(({ line, column, reason }) => `${path}:${line}:${column}: ${reason}`));
  }
  return broken;
}
