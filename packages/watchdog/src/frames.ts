import { findSourceMap } from "node:module";
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

/** The code that runs now. */
export interface Stack {
  /** Innermost first, without those of Node.js. */
  readonly frames: readonly Frame[];
  /**
   * May it be held by the debugger? That describes the `this` of each function, and for an error calls its getters: one
   * that never returns would block the debugger too, and then nothing can stop it.
   */
  readonly holdable: boolean;
}

/** Returns the code that runs now. @param below - Omits this function and what it called. */
export function stackBelow(below: (...args: never[]) => unknown): Stack {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: NodeJS.CallSite[] } = {};
  try {
    Error.stackTraceLimit = DEPTH;
    Error.prepareStackTrace = (_error, sites) => sites;
    Error.captureStackTrace(holder, below);
    // A string while V8 asks for the stack of another error.
    const sites = Array.isArray(holder.stack) ? holder.stack : [];
    return { frames: sites.flatMap((site) => frameAt(site) ?? []), holdable: !sites.some(isOfError) };
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Returns the frames of a stack as V8 prints it, innermost first, without those of Node.js. */
export function framesOfTrace(trace: string): Frame[] {
  return trace.split("\n").flatMap((text) => {
    const found = /^ {4}at (?:(?:async )?(.+) \()?(.+):(\d+):(\d+)\)?$/.exec(text);
    if (!found?.[2] || found[2].startsWith("node:")) return [];
    const [, name, url, line, column] = found;
    return [{ ...placeInSource(pathOf(url!), Number(line), Number(column)), ...(name && { name }) }];
  });
}

/** A getter, or a method of an error: more than need be. */
function isOfError(site: NodeJS.CallSite): boolean {
  return /^get( |$)/.test(site.getFunctionName() ?? "") || /Error$/.test(site.getTypeName() ?? "");
}

/** Returns the frame of a call; undefined for one of Node.js. */
export function frameAt(site: NodeJS.CallSite): Frame | undefined {
  const url = site.getFileName();
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  if (!url || url.startsWith("node:") || line === null || column === null) return undefined;
  const name = site.getFunctionName();
  return { ...placeInSource(pathOf(url), line, column), ...(name && { name }) };
}

/** Returns the path of a module, whether it is given as a path or as a URL. */
export function pathOf(url: string): string {
  return url.startsWith("file:") ? fileURLToPath(url) : url;
}

/**
 * Returns the folders of packages: of compiled code, and of what its source map points to.
 *
 * @param modules - URLs of modules at the top of the source of each package.
 */
export function foldersOf(modules: readonly string[]): string[] {
  return modules.flatMap((url) => ["src/", "dist/"].map((folder) => fileURLToPath(new URL(`../${folder}`, url))));
}

/**
 * Returns the place in the source of compiled or bundled code, as far as Node.js has its source map: with
 * `--enable-source-maps`, or where a loader such as tsx has switched them on. Else the place itself.
 */
function placeInSource(file: string, line: number, column: number): Pick<Frame, "file" | "line" | "column"> {
  try {
    const found = findSourceMap(file)?.findEntry(line - 1, column - 1);
    if (found && "originalSource" in found && found.originalSource)
      return { file: pathOf(found.originalSource), line: found.originalLine + 1, column: found.originalColumn + 1 };
  } catch {
    // A source map that cannot be read.
  }
  return { file, line, column };
}

/**
 * Returns the innermost frame of the user's code: outside the given folders, and outside other packages if there is one
 * such frame. If there is none, the innermost of all.
 *
 * @param own - Folders of the caller's own code, which is not where the user would look.
 */
export function frameOf(frames: readonly Frame[], own: readonly string[]): Frame | undefined {
  const users = frames.filter(({ file }) => !/[\\/]node_modules[\\/]/.test(file));
  const candidates = users.length > 0 ? users : frames;
  return candidates.find(({ file }) => !own.some((folder) => file.startsWith(folder))) ?? candidates[0];
}

/** Describes that frame: `/app/order.ts:12:7 (ship)`. */
export function placeOf(frames: readonly Frame[], own: readonly string[]): string {
  const frame = frameOf(frames, own);
  if (!frame) return "an unknown place";
  return `${frame.file}:${frame.line}:${frame.column}${frame.name ? ` (${frame.name})` : ""}`;
}
