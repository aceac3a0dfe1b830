import { isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

/** An error as it is stored, or as pino writes it. */
interface WithStack {
  readonly stack?: string | undefined;
  readonly cause?: unknown;
}

/** Frames that are shown of one error. */
const MOST = 6;
/** Where our own code is, if it is run from its sources; from packages it is in node_modules. */
const OURS = import.meta.url.endsWith(".ts") ? fileURLToPath(new URL("../../../../", import.meta.url)) : undefined;
const OWN = OURS === undefined ? undefined : [`${OURS}packages/`, `${OURS}services/`];

/**
 * Where in the user's code an error comes from: a frame each, `at charge (src/handlers.ts:12:9)`, the innermost first.
 * Frames of Node.js, of packages and of Stepstream say nothing to who has written the workflow or the handler.
 *
 * @param cwd - Files in it, and below, have their names from there.
 */
export function framesOf(error: unknown, cwd: string): string[] {
  const { stack } = (error ?? {}) as WithStack;
  if (typeof stack !== "string") return [];
  const frames = stack
    .split("\n")
    .map((line) => /^ *(at .*)$/.exec(line)?.[1])
    .filter((frame) => frame !== undefined)
    .filter((frame) => !/\(?(?:node:|native\b|<anonymous>)|[\\/]node_modules[\\/]/.test(frame))
    .filter((frame) => /:\d+:\d+\)?$/.test(frame))
    .filter((frame) => !OWN?.some((folder) => frame.includes(folder)));
  return frames.slice(0, MOST).map((frame) => shortened(frame, cwd));
}

/** Of an error and what caused it, the first that has frames of the user's. */
export function innermostFrames(error: unknown, cwd: string): string[] {
  let frames: string[] = [];
  let at = error as WithStack | undefined;
  for (let depth = 0; at && depth < 8; depth++, at = at.cause as WithStack | undefined) {
    const its = framesOf(at, cwd);
    if (its.length > 0) frames = its;
  }
  return frames;
}

function shortened(frame: string, cwd: string): string {
  return stripVTControlCharacters(frame)
    .replace(/\p{Cc}/gu, "")
    .replace(/(file:\/\/[^\s)]+|\/[^\s()]+?)(:\d+:\d+\)?)$/, (_, file: string, place: string) => {
      const path = file.startsWith("file:") ? pathOf(file) : file;
      const short = relative(cwd, path);
      return `${short.startsWith("..") || isAbsolute(short) ? path : short}${place}`;
    });
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return url;
  }
}
