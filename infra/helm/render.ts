/**
 * Writes what the chart makes of the values in examples/, for tests and for those without Helm. Needs `helm` on the path.
 *
 *   node infra/helm/render.ts
 *
 * The first lines of each file have a hash of the chart and the values: a test compares it, and needs no Helm for that.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const HERE = fileURLToPath(new URL(".", import.meta.url));
export const CHART = join(HERE, "stepstream");
export const EXAMPLES = join(HERE, "examples");
/** Written out, since a Helm has one of its own, by its version. */
export const KUBERNETES = ["--kube-version", "1.33.0"];

/** The examples by name, e.g. "small". */
export async function examples(): Promise<string[]> {
  const files = await readdir(EXAMPLES);
  return files
    .filter((file) => file.endsWith(".values.yaml"))
    .map((file) => file.replace(".values.yaml", ""))
    .sort();
}

/** The first lines of a rendered example. */
export async function header(example: string): Promise<string> {
  const hash = createHash("sha256");
  const files = (await readdir(CHART, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  for (const path of [...paths, join(EXAMPLES, `${example}.values.yaml`)])
    hash.update((await readFile(path, "utf8")).replaceAll("\r\n", "\n"));
  return [
    `# helm template shop infra/helm/stepstream --namespace shop --values infra/helm/examples/${example}.values.yaml`,
    `# Written by node infra/helm/render.ts from chart and values ${hash.digest("hex").slice(0, 16)}: change those.`,
    "",
  ].join("\n");
}

/** @throws {Error} There is no Helm, or it refuses the chart. */
export async function render(example: string, ...more: string[]): Promise<string> {
  const values = ["--values", join(EXAMPLES, `${example}.values.yaml`)];
  const args = ["template", "shop", CHART, "--namespace", "shop", ...KUBERNETES, ...values, ...more];
  const { stdout } = await promisify(execFile)("helm", args);
  return `${await header(example)}${stdout}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const example of await examples()) {
    await writeFile(join(EXAMPLES, `${example}.yaml`), await render(example));
    console.log(`infra/helm/examples/${example}.yaml`);
  }
