import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Dataset } from "./datasets.ts";
import type { Chunk } from "./pipeline.ts";
import { checksum } from "./rows.ts";

/**
 * Writes rows as a chunk. The name depends on what is in it alone, and the file appears whole or not at all, so
 * two attempts at the same work, even at the same time, leave one good file.
 */
export async function writeChunk(
  folder: string,
  dataset: Dataset,
  name: string,
  rows: readonly unknown[],
): Promise<Chunk> {
  const content = rows.map((row) => JSON.stringify(row)).join("\n");
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  const draft = join(dirname(file), `.${basename(file)}.${crypto.randomUUID()}`);
  await writeFile(draft, content);
  await rename(draft, file);
  return { dataset, file, rows: rows.length, checksum: checksum(content) };
}

/** @throws {Error} The file is not the one that was written. */
export async function readChunk<T>(chunk: Chunk): Promise<T[]> {
  const content = await readFile(chunk.file, "utf8");
  if (checksum(content) !== chunk.checksum) throw new Error(`${chunk.file} is not what was written`);
  return content === "" ? [] : content.split("\n").map((line) => JSON.parse(line) as T);
}
