import type { Io } from "../io.ts";

/** What a command has done: a sentence on standard error, or with --json an object on standard output. */
export function did(io: Io, sentence: string, object: object): void {
  if (io.json) io.out.write(`${JSON.stringify(object)}\n`);
  else io.err.write(`${sentence}\n`);
}
