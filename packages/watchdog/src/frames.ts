import { fileURLToPath } from "node:url";

/** A place in the code. Line and column count from 1. */
export interface Frame {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The function's name; absent for one without. */
  readonly name?: string;
}

const DEPTH = 100;

/** Returns the frames of the code that runs now, innermost first, without those of Node.js. @param below - Omits this function and what it called. */
export function framesBelow(below: (...args: never[]) => unknown): Frame[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: NodeJS.CallSite[] } = {};
  try {
    Error.stackTraceLimit = DEPTH;
    Error.prepareStackTrace = (_error, sites) => sites;
    Error.captureStackTrace(holder, below);
    return (holder.stack ?? []).flatMap(frameOf);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function frameOf(site: NodeJS.CallSite): Frame[] {
  const url = site.getFileName();
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  if (!url || url.startsWith("node:") || line === null || column === null) return [];
  const name = site.getFunctionName();
  return [{ file: url.startsWith("file:") ? fileURLToPath(url) : url, line, column, ...(name && { name }) }];
}

/** Returns the innermost frame outside the given folders; if there is none, the innermost of all. */
export function firstOutside(frames: readonly Frame[], folders: readonly string[]): Frame | undefined {
  return frames.find(({ file }) => !folders.some((folder) => file.startsWith(folder))) ?? frames[0];
}
