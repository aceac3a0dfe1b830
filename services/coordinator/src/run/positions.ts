import { foldersOf, frameAt, pathOf } from "@stepstream/watchdog";

/** A place in the code. Line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The function's name; absent for one without. */
  readonly name?: string;
}

/** In a bundle all code is in one file: what is ours is known by its source map alone. */
const BUNDLED = !/[\\/]run[\\/]positions\.[jt]s$/.test(import.meta.url ?? "");
/** Frames of our own are nobody's business: this package's, and those of the SDK, which has the code of pipelines. */
export const OWN: readonly string[] = BUNDLED
  ? []
  : foldersOf([new URL("../", import.meta.url).href, import.meta.resolve("@stepstream/sdk")]);
/** The file that calls the workflow function. */
const LIFE = /[\\/]coordinator[\\/](dist|src)[\\/]run[\\/]life\.[jt]s$/;
const OWN_IN_BUNDLE = /[\\/]@stepstream[\\/]/;
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
      const position = frameAt(site);
      if (!position) continue;
      const own = isOwn(position.file, site);
      if (own && found.length > 0 && LIFE.test(position.file)) break;
      if (!own) found.push(position);
    }
    return found.slice(0, MOST);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function isOwn(file: string, site: NodeJS.CallSite): boolean {
  if (!BUNDLED) return OWN.some((folder) => file.startsWith(folder));
  // Without a source map it is not known whose code it is.
  return OWN_IN_BUNDLE.test(file) || file === pathOf(site.getFileName()!);
}
