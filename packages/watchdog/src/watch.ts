import { AsyncLocalStorage } from "node:async_hooks";
import inspector from "node:inspector";
import v8 from "node:v8";
import { isMainThread, Worker } from "node:worker_threads";
import { emptyAsyncStack } from "./async-stack.ts";
import { type Frame, framesOfTrace, stackBelow } from "./frames.ts";
import {
  BEAT_MS,
  BEATS,
  HOOK,
  INSPECTED,
  type Looked,
  PLACES,
  type Places,
  STALL_MS,
  STOPPABLE,
  STOPPING,
  type Told,
} from "./shared.ts";
import { watchThread } from "./thread.ts";

/** Code that blocks the event loop. */
export interface Blocked {
  /** For how long, in milliseconds, so far or in all. */
  readonly ms: number;
  /** Where, innermost first. */
  readonly frames: readonly Frame[];
  /** The event loop turns again: `ms` is the whole time. */
  readonly over: boolean;
}

/** The one whose code blocks the event loop. */
export interface Suspect {
  /** For comparison: two looks must find the same one before it is stopped. */
  readonly what: string;
  /** For `onBlocked`. */
  readonly about?: unknown;
  /**
   * Called immediately before the code is stopped, in the middle of it: set flags and return. Left out: the code is not
   * stopped, and `onBlocked` is called instead.
   */
  readonly stop?: (blocked: Blocked) => void;
}

export interface WatchOptions {
  /**
   * How long the event loop may be blocked, in milliseconds. Default 2,500. At least 500. Code that is to be stopped is
   * looked at twice, after half of that and after all of it.
   */
  stallMs?: number;
  /**
   * Whose code runs now? Called on the main thread in the middle of that code, in its async context. Undefined: not
   * that of anything that is watched here.
   */
  suspect?: () => Suspect | undefined;
  /** Code that is not to be stopped blocks the event loop: called while it does, again after 10 s and each 30 s, and when it is over. */
  onBlocked?: (blocked: Blocked, suspect: Suspect | undefined) => void;
  /**
   * Whose code was it? Called after code was stopped that catches its own stack overflow again and again: nothing can be
   * called in the middle of that. Called before other code continues, or soon after; see {@link isStopping}. Returns
   * whether it was code that is watched here. If this is left out by all that watch, such code is not stopped.
   */
  stoppedOverflown?: (blocked: Blocked) => boolean;
  /**
   * Code in this process is about to be stopped, whoever's it is. Called in the middle of that code: set flags, so that
   * nothing of yours goes on with what is left of it, and return.
   */
  onStopping?: () => void;
  /**
   * Code in this process was stopped, and the event loop turns again. V8 has dropped all microtasks that were
   * pending: continuations of any code in this process may be lost. The owner must not trust any promise that was
   * pending, and start again.
   */
  onStopped?: () => void;
  /** The watching thread cannot run. Nothing is watched from now on. */
  onFailed?: (error: unknown) => void;
}

/**
 * Was code of this process stopped just now, and `onStopping` has not been called yet? Only for code that overflows its
 * stack: whatever continues meanwhile may be half of what it was.
 */
export function isStopping(): boolean {
  return flags !== undefined && flags[STOPPING] === 1;
}

/** What the process shares with the watching thread, as soon as it is watched: asked for at every call of a log. */
let flags: Int32Array | undefined;

export interface Watch {
  stop(): void;
}

/** What {@link HOOK} has for the thread. Each is called while the main thread is held. */
interface Hook {
  look(): Looked;
  /** The same, for a place that is not to be reported. */
  who(): string | undefined;
  stop(ms: number): void;
  report(ms: number): void;
  /** @param trace - The stack of the code that was stopped. */
  stopOverflown(ms: number, trace: string): void;
  readonly shared: Int32Array;
  /** For another copy of this package in the process. */
  add(options: WatchOptions): Watch;
}

const hookKey = Symbol.for(HOOK);
const DEFAULT_STALL_MS = 2_500;

/**
 * Watches the event loop of the main thread from another thread, and stops code that blocks it.
 *
 * The main thread increments a number in shared memory; a thread watches it. Nothing else happens until the number
 * stands still. Then the thread holds the main thread with the debugger of V8, asks whose code it is in, and either
 * stops that code, or reports it.
 *
 * W1. Code is stopped only if two looks, `stallMs / 2` apart, find the same suspect, and the event loop has not turned
 *     between them.
 * W2. Time in which the process did not run (suspended, SIGSTOP) does not count, and code is not blamed while the
 *     process gets less than a quarter of a CPU, until three times as long.
 * W3. Nothing is done while a debugger can be attached (`--inspect`, SIGUSR1).
 *
 * Works on the main thread only, one thread for the process, which keeps no process alive. Elsewhere (in another
 * worker thread, or in a Node.js without inspector) nothing is watched.
 *
 * @throws {RangeError} `stallMs` is below 500.
 *
 * Checked elsewhere:
 *   W1  watch.test.ts: %s is left alone
 *   W2  watch.test.ts: a process that was suspended has not blocked anything
 *   W3  watch.test.ts: nothing is done while a debugger can be attached
 */
export function watchEventLoop(options: WatchOptions): Watch {
  checkStallMs(options.stallMs);
  if (!isMainThread || !process.features.inspector) return { stop() {} };
  const holder = globalThis as { [key: symbol]: Hook | undefined };
  holder[hookKey] ??= createHook();
  flags = holder[hookKey].shared;
  return holder[hookKey].add(options);
}

/** @throws {RangeError} It is not within 500 and 600,000 ms. */
export function checkStallMs(stallMs: unknown = DEFAULT_STALL_MS): void {
  if (typeof stallMs === "number" && stallMs >= 500 && stallMs <= 600_000) return;
  const shown = typeof stallMs === "string" ? JSON.stringify(stallMs) : String(stallMs);
  throw new RangeError(`Invalid watchdog.stallMs ${shown}. Use 500 to 600000 milliseconds.`);
}

function threadSource(): string {
  const places: Places = { BEATS, INSPECTED, STALL_MS, STOPPABLE, STOPPING, BEAT_MS, HOOK };
  // Compilers that keep the names of functions have put calls of a helper into it, under any name: what is not known there
  // returns what it is given.
  return `const unknown = { has: (_, name) => typeof name === "string" && !(name in globalThis), get: () => (fn) => fn };
with (new Proxy({}, unknown)) globalThis.watch = ${watchThread};
watch(require("node:inspector"), require("node:worker_threads"), ${JSON.stringify(places)});`;
}

/**
 * V8 13 and 14 leave out the check for interrupts in some endless loops, e.g.
 * `for (;;) { a.push(new Array(1000).fill(0)); if (a.length > 1000) a.length = 0; }`: what unrolls loops takes them for short
 * ones. No debugger, no termination and no time-out of `node:vm` gets through to those. V8 12 does not unroll by default;
 * a later one may not know the option, and would print that.
 */
function keepLoopsInterruptible(): void {
  const [major] = process.versions.v8.split(".").map(Number);
  if (major === 13 || major === 14) v8.setFlagsFromString("--no-turboshaft-loop-unrolling");
}

function createHook(): Hook {
  const shared = new Int32Array(new SharedArrayBuffer(4 * PLACES));
  const watches = new Set<WatchOptions>();
  /** What the thread has found, until it says more about it. */
  let found: { suspect: Suspect | undefined; watch: WatchOptions | undefined; frames: readonly Frame[] } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let thread: Worker | undefined;
  /** Not the async context of the code that is held. */
  const outside = AsyncLocalStorage.snapshot();

  function beat(): void {
    Atomics.add(shared, BEATS, 1);
    Atomics.store(shared, INSPECTED, inspector.url() === undefined ? 0 : 1);
  }

  function start(): void {
    timer = setInterval(beat, BEAT_MS).unref();
    beat();
    if (thread) return;
    keepLoopsInterruptible();
    try {
      thread = new Worker(threadSource(), {
        eval: true,
        name: "stepstream-watchdog",
        workerData: shared,
        // Not what the program was started with: --import would start the program's telemetry again.
        execArgv: [],
        env: {},
        resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
      });
    } catch (error) {
      return fail(error);
    }
    thread.on("message", told);
    thread.on("error", fail);
    thread.unref();
  }

  function end(): void {
    // The thread stays: another watch may begin, as in tests that make many.
    clearInterval(timer);
    Atomics.store(shared, STALL_MS, 0);
  }

  function fail(error: unknown): void {
    const failed = [...watches];
    watches.clear();
    end();
    thread = undefined;
    each(failed, (watch) => watch.onFailed?.(error));
  }

  function told(message: Told): void {
    outside(() => {
      if (message.type === "stopped") return each([...watches], (watch) => watch.onStopped?.());
      const was = found;
      found = undefined;
      blocked(was, message.ms, true);
    });
  }

  function blocked(was: typeof found, ms: number, over: boolean): void {
    const about = { ms: Math.round(ms), frames: was?.frames ?? [], over };
    const whose = was?.watch ? [was.watch] : [...watches];
    each(whose, (watch) => watch.onBlocked?.(about, was?.suspect));
  }

  function look(): Looked {
    const before = found;
    const { holdable, ...stack } = stackBelow(look);
    let { frames } = stack;
    for (const watch of watches) {
      const suspect = watch.suspect?.();
      if (!suspect) continue;
      // Held between two pieces of its code: the last one is the place.
      if (frames.length === 0 && before?.suspect?.what === suspect.what) frames = before.frames;
      found = { suspect, watch, frames };
      return { what: suspect.what, stop: suspect.stop !== undefined, placed: frames.length > 0, holdable };
    }
    found = { suspect: undefined, watch: undefined, frames };
    return { what: undefined, stop: false, placed: frames.length > 0, holdable };
  }

  return {
    look,
    who() {
      for (const watch of watches) {
        const suspect = watch.suspect?.();
        if (suspect) return suspect.what;
      }
      return undefined;
    },
    stop(ms) {
      const { suspect, frames } = found!;
      try {
        outside(() => suspect!.stop!({ ms: Math.round(ms), frames, over: false }));
        outside(() => each([...watches], (watch) => watch.onStopping?.()));
      } finally {
        outside(emptyAsyncStack);
      }
    },
    stopOverflown(ms, trace) {
      const blocked = { ms: Math.round(ms), frames: framesOfTrace(trace), over: false };
      try {
        outside(() => {
          let known = false;
          each([...watches], (watch) => {
            if (!known) known = watch.stoppedOverflown?.(blocked) ?? false;
          });
          each([...watches], (watch) => watch.onStopping?.());
        });
      } finally {
        Atomics.store(shared, STOPPING, 0);
        outside(emptyAsyncStack);
      }
    },
    shared,
    report: (ms) => outside(() => blocked(found, ms, false)),
    add(options) {
      if (watches.size === 0) start();
      watches.add(options);
      const set = () => {
        const all = [...watches].map(({ stallMs = DEFAULT_STALL_MS }) => stallMs);
        Atomics.store(shared, STALL_MS, all.length > 0 ? Math.min(...all) : 0);
        Atomics.store(shared, STOPPABLE, [...watches].filter(({ stoppedOverflown }) => stoppedOverflown).length);
      };
      set();
      return {
        stop() {
          if (!watches.delete(options)) return;
          set();
          if (watches.size === 0) end();
        },
      };
    },
  };
}

/** One that throws keeps none of the others from it. */
function each(watches: readonly WatchOptions[], fn: (watch: WatchOptions) => void): void {
  for (const watch of watches) {
    try {
      fn(watch);
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  }
}
