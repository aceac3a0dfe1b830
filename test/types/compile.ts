import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));

/** What tsc says about a source beside this file: all messages of each line. */
export async function compile(source: string): Promise<Map<number, string>> {
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
