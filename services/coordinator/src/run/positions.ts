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
const OWN = [new URL("../../", import.meta.url), new URL("./", import.meta.resolve("@stepstream/sdk"))].map((url) =>
  fileURLToPath(url),
);
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
    return (holder.stack ?? []).flatMap(positionOf).slice(0, MOST);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function positionOf(site: NodeJS.CallSite): Position[] {
  const url = site.getFileName();
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  if (!url || url.startsWith("node:") || line === null || column === null) return [];
  const file = url.startsWith("file:") ? fileURLToPath(url) : url;
  if (OWN.some((folder) => file.startsWith(folder))) return [];
  const name = site.getFunctionName();
  return [{ file, line, column, ...(name && { name }) }];
}
