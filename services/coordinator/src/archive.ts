import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { ArchivedRun } from "./shell/archived-run.ts";

/**
 * Keeps ended runs in a folder, a line of JSON each: one file for each day on which they ended, in UTC.
 *
 * V1. A line is on the disk when the call has returned. A run that was kept twice, after a crash, is there twice.
 * V2. A line is whole: what a crash, or a disk that was full, has left of one is cut off before the next is written.
 *
 * Checked elsewhere:
 *   V1  archive.test.ts: has a line for each run, in the file of its day, when the call has returned (V1)
 *   V2  archive.test.ts: cuts off what a crash has left of a line (V2)
 *
 * @returns For `archive` of a coordinator. One process at a time may use a folder.
 */
export function archiveIn(folder: string): (run: ArchivedRun) => Promise<void> {
  /** Lines are appended one after the other: those of several runs must not mix. */
  let last: Promise<void> = Promise.resolve();
  async function write(run: ArchivedRun): Promise<void> {
    await mkdir(folder, { recursive: true });
    const file = await open(join(folder, `${run.namespace}-${run.endedAt.slice(0, 10)}.jsonl`), "a+");
    try {
      const { size } = await file.stat();
      const whole = await endOfLines(file, size);
      if (whole < size) await file.truncate(whole);
      await file.appendFile(`${JSON.stringify(run)}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
  }
  return (run) => {
    last = last.catch(() => {}).then(() => write(run));
    return last;
  };
}

const CHUNK = 65_536;

/** The size of a file up to the end of its last whole line. */
async function endOfLines(file: FileHandle, size: number): Promise<number> {
  // Nearly always the file ends with a line.
  for (let end = size, take = 1; end > 0; take = CHUNK) {
    const from = Math.max(0, end - take);
    const { buffer } = await file.read(Buffer.alloc(end - from), 0, end - from, from);
    const at = buffer.lastIndexOf("\n");
    if (at >= 0) return from + at + 1;
    end = from;
  }
  return 0;
}
