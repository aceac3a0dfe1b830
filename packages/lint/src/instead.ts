/**
 * What is in no history, and what to use instead. Where the coordinator refuses it too (globals.ts there), the advice is
 * the same, word for word; a test holds the two together.
 */

import { isBuiltin } from "node:module";

const A_STEP = "a step";
const INPUT = "the workflow's input";
const CHANCE = "w.random() or w.uuid()";
const CLOCK = "w.now()";
const NEXT = "await Promise.resolve()";

/** A global, or a part of one, as it is written → what to use instead. The longest that fits counts. */
export const GLOBALS: ReadonlyMap<string, string> = new Map([
  ["setTimeout", "w.sleep()"],
  ["setInterval", "w.sleep() in a loop"],
  ["setImmediate", NEXT],
  ["fetch", A_STEP],
  ["XMLHttpRequest", A_STEP],
  ["WebSocket", A_STEP],
  ["EventSource", A_STEP],
  ["crypto.getRandomValues", CHANCE],
  ["crypto.subtle", A_STEP],
  ["AbortSignal.timeout", "w.race() with w.sleep()"],
  ["performance.timeOrigin", CLOCK],
  ["process", INPUT],
  ["process.hrtime", CLOCK],
  ["process.uptime", CLOCK],
  ["process.nextTick", NEXT],
  ["process.stdout", A_STEP],
  ["process.stderr", A_STEP],
  ["process.stdin", A_STEP],
  ["process.exit", "throw"],
  ["process.abort", "throw"],
  ["navigator", INPUT],
  ["localStorage", A_STEP],
  ["sessionStorage", A_STEP],
  ["WeakRef", "a plain reference"],
  ["FinalizationRegistry", "a plain reference"],
]);

/** Those that are called: named with `()` in messages. */
export const CALLED: ReadonlySet<string> = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "fetch",
  "crypto.getRandomValues",
  "AbortSignal.timeout",
  "process.hrtime",
  "process.uptime",
  "process.nextTick",
  "process.exit",
  "process.abort",
]);

/** What a run answers in the place of these, from its history: allowed. → What says so in the code. */
export const ANSWERED: ReadonlyMap<string, string> = new Map([
  ["Date", CLOCK],
  ["Date.now", CLOCK],
  ["performance.now", CLOCK],
  ["Math.random", "w.random()"],
  ["crypto.randomUUID", "w.uuid()"],
]);

/** Modules of Node's own that neither take time nor look at the machine. */
const HARMLESS = new Set([
  "assert",
  "assert/strict",
  "async_hooks",
  "buffer",
  "constants",
  "diagnostics_channel",
  "events",
  "path",
  "path/posix",
  "punycode",
  "querystring",
  "string_decoder",
  "url",
  "util",
  "util/types",
]);
/** `randomUUID` is answered from the history, by whatever name it was imported. */
const HARMLESS_IN_CRYPTO = new Set(["createHash", "createHmac", "hash", "timingSafeEqual", "randomUUID"]);
/** Modules that are a global under another name. */
const AS_GLOBAL: Readonly<Record<string, string>> = { process: "process", perf_hooks: "performance" };

/**
 * What to use instead of something from a module; undefined if nothing is wrong with it.
 *
 * @param path - What is used of the module: `["readFile"]`; empty for all of it.
 */
export function insteadOfModule(from: string, path: readonly string[]): string | undefined {
  if (!isBuiltin(from)) return undefined;
  const module = from.replace(/^node:/, "");
  const [name] = path;
  if (HARMLESS.has(module)) return undefined;
  if (module === "timers" || module === "timers/promises")
    return name === undefined || name.startsWith("clear") ? undefined : (GLOBALS.get(name) ?? "w.sleep()");
  if (module === "os") return INPUT;
  if (module === "crypto") {
    if (name === undefined || HARMLESS_IN_CRYPTO.has(name)) return undefined;
    return /^random|^getRandomValues$/.test(name) ? CHANCE : A_STEP;
  }
  const global = AS_GLOBAL[module];
  if (global === undefined) return A_STEP;
  return insteadOf(name === global ? path : [global, ...path])?.instead;
}

/** What to use instead of a global, or of a part of it, and how much of the path is meant. */
export function insteadOf(path: readonly string[]): { what: string; parts: number; instead: string } | undefined {
  for (let parts = path.length; parts > 0; parts--) {
    const what = path.slice(0, parts).join(".");
    const instead = GLOBALS.get(what);
    if (instead) {
      // Of `process` any part is meant: say which.
      const said = what === "process" && path.length > 1 ? Math.min(2, path.length) : parts;
      return { what: path.slice(0, said).join("."), parts: said, instead };
    }
  }
  return undefined;
}
