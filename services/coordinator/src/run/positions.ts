import { fileURLToPath } from "node:url";

/** A place in the code. Line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The function's name; absent for one without. */
  readonly name?: string;
}

/** Frames of our own are nobody's business: this package's, and those of the SDK, which has the code of pipelines. */
export const OWN = [new URL("../../", import.meta.url), new URL("./", import.meta.resolve("@stepstream/sdk"))].map(
  (url) => fileURLToPath(url),
);
/** The file that calls the workflow function, without its ending. */
const LIFE = fileURLToPath(new URL("./life.", import.meta.url));
const DEPTH = 50;
/** Of a chain of callers, so many are told. */
const MOST = 5;

/**
 * Where the code that calls this is, and who called it: the workflow's own frames, the innermost first. Frames of async
 * callers are there as far as V8 knows them. Costs some ten microseconds.
 */
export function positions(): Position[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: NodeJS.CallSite[] } = {};
  try {
    Error.stackTraceLimit = DEPTH;
    Error.prepareStackTrace = (_error, sites) => sites;
    Error.captureStackTrace(holder, positions);
    const found: Position[] = [];
    for (const site of holder.stack ?? []) {
      // Whoever called the workflow function is not of interest; below what it asks for, the same file comes first.
      if (found.length > 0 && fileOf(site)?.startsWith(LIFE)) break;
      found.push(...positionOf(site));
    }
    return found.slice(0, MOST);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function fileOf(site: NodeJS.CallSite): string | undefined {
  const url = site.getFileName();
  if (!url || url.startsWith("node:")) return undefined;
  return url.startsWith("file:") ? fileURLToPath(url) : url;
}

function positionOf(site: NodeJS.CallSite): Position[] {
  const file = fileOf(site);
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  if (file === undefined || line === null || column === null) return [];
  if (OWN.some((folder) => file.startsWith(folder))) return [];
  const name = site.getFunctionName();
  return [{ file, line, column, ...(name && { name }) }];
}
